// RowOptions: types of 16 bits, and contradictions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <vector>

#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/lamb.h"
#include "rowlane/optim/partial_rowwise_adam.h"
#include "rowlane/optim/rowwise_adagrad.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;
using ::testing::HasSubstr;

std::vector<torch::Tensor> one_parameter() { return {torch::zeros({3, 2}).requires_grad_()}; }

TEST(RowOptionsErrors, Contradictions) {
  const auto dense_equivalent = RowOptions().semantics(RowSemantics::kDenseEquivalent);
  for (const Rule& rule : all_rules()) {
    SCOPED_TRACE(rule.name);
    if (rule.has_dense_twin) {
      EXPECT_THAT(message_of([&] {
                    rule.make(one_parameter(), RowOptions(dense_equivalent).per_row_steps(true));
                  }),
                  HasSubstr(": per_row_steps must be false with dense_equivalent"));
    } else {
      EXPECT_THAT(message_of([&] { rule.make(one_parameter(), dense_equivalent); }),
                  HasSubstr(": semantics must be lazy: torch has no dense optimizer of this rule"));
    }
    EXPECT_THAT(message_of([&] {
                  rule.make(one_parameter(),
                            RowOptions().stochastic_rounding(true).master_weights(true));
                }),
                HasSubstr(": stochastic_rounding must be false with master_weights"));
  }
}

TEST(OptionsErrors, Ranges) {
  EXPECT_THAT(message_of([] { optim::SparseAdam(one_parameter(), -1.); }),
              HasSubstr("rowlane::optim::SparseAdam: lr must not be negative, got -1"));
  EXPECT_THAT(message_of([] {
                optim::LAMB(one_parameter(), optim::LAMBOptions().betas({0.9, 1.}));
              }),
              HasSubstr("rowlane::optim::LAMB: betas must be in [0, 1), got 0.9 and 1"));
  EXPECT_THAT(message_of([] {
                optim::RowWiseAdagrad(one_parameter(),
                                      optim::RowWiseAdagradOptions().initial_accumulator_value(-2));
              }),
              HasSubstr("rowlane::optim::RowWiseAdagrad: initial_accumulator_value must not be "
                        "negative, got -2"));
  EXPECT_THAT(message_of([] {
                optim::PartialRowWiseAdam(one_parameter(),
                                          optim::PartialRowWiseAdamOptions().weight_decay(-3));
              }),
              HasSubstr("rowlane::optim::PartialRowWiseAdam: weight_decay must not be negative"));
  EXPECT_THAT(message_of([] { optim::SGD(one_parameter(), torch::optim::SGDOptions(-1)); }),
              HasSubstr("Invalid learning rate"));
}

// ---------------------------------------------------------------------------------------------
// Tables of 16 bits

// Steps of SGD with a constant gradient for all rows.
torch::Tensor sgd_steps(const torch::Tensor& initial, float gradient, int num_steps,
                        const RowOptions& row_options) {
  auto weight = initial.clone().requires_grad_();
  optim::SGD sgd(std::vector<torch::Tensor>{weight}, torch::optim::SGDOptions(1), row_options);
  const auto grad = torch::full_like(initial, gradient).to_sparse(1);
  for (int step = 0; step < num_steps; ++step) {
    weight.mutable_grad() = grad;
    sgd.step();
  }
  return weight.detach();
}

TEST(StochasticRounding, KeepsTheMeanOfStepsBelowTheLastBit) {
  torch::manual_seed(1);
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    SCOPED_TRACE(dtype);
    // A step of an eighth of the distance to the next number, 64 times: to 0.75 in the mean.
    const float ulp = dtype == torch::kHalf ? 0x1p-11F : 0x1p-8F;  // below 1
    const auto initial = torch::ones({64, 256}, dtype);
    EXPECT_TRUE(bit_equal(sgd_steps(initial, ulp / 8, 64, {}), initial)) << "rounds to nearest";
    const auto weight =
        sgd_steps(initial, ulp / 8, 64, RowOptions().stochastic_rounding(true)).to(torch::kDouble);
    // Each of 64 roundings has a variance of at most (ulp / 2)^2, and there are 16384 elements.
    const double deviation = std::sqrt(64) * ulp / 2 / std::sqrt(weight.numel());
    EXPECT_NEAR(weight.mean().item<double>(), 1 - 8 * ulp, 5 * deviation);
    EXPECT_GT(weight.std().item<double>(), ulp) << "not all elements the same";
  }
}

TEST(StochasticRounding, IsReplayedByTheSeed) {
  const auto options = RowOptions().stochastic_rounding(true);
  const auto initial = torch::ones({8, 16}, torch::kBFloat16);
  torch::Tensor weights[3];
  for (const int run : {0, 1, 2}) {
    torch::manual_seed(run == 2 ? 5 : 4);
    weights[run] = sgd_steps(initial, 0x1p-10F, 3, options);
  }
  EXPECT_TRUE(bit_equal(weights[1], weights[0]));
  EXPECT_FALSE(weights[2].equal(weights[0]));
}

TEST(StochasticRounding, LeavesFloatAndTheGeneratorAlone) {
  torch::manual_seed(3);
  const auto next = torch::rand({1});
  torch::manual_seed(3);
  const auto weight =
      sgd_steps(torch::ones({8, 16}), 0x1p-10F, 3, RowOptions().stochastic_rounding(true));
  EXPECT_TRUE(bit_equal(weight, torch::ones({8, 16}) - 3 * 0x1p-10));
  EXPECT_TRUE(bit_equal(torch::rand({1}), next));
}

TEST(MasterWeights, TakeTheStepsOfAFloatTable) {
  torch::manual_seed(2);
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    for (const Rule& rule : all_rules()) {
      SCOPED_TRACE(rule.name);
      const auto initial = torch::randn({6, 5}).to(dtype);
      auto narrow = initial.clone().requires_grad_();
      auto wide = initial.to(torch::kFloat).requires_grad_();
      const auto of_narrow =
          rule.make({narrow}, RowOptions().master_weights(true).state_dtype(torch::kFloat));
      const auto of_wide = rule.make({wide}, {});
      for (int step = 0; step < 20; ++step) {
        const auto grad = torch::randn({6, 5}).to(dtype).to_sparse(1);
        narrow.mutable_grad() = grad;
        wide.mutable_grad() = grad.to(torch::kFloat);
        of_narrow->step();
        of_wide->step();
      }
      EXPECT_TRUE(bit_equal(narrow, wide.to(dtype)));
    }
  }
}

TEST(StateDtype, IsTheTablesOrFloat) {
  const auto state_dtype = [](const RowOptions& options) {
    auto table = make_table(torch::kBFloat16);
    optim::Adam adam(table->parameters(), optim::AdamOptions(0.01), options);
    table(torch::tensor({1})).sum().backward();
    adam.step();
    const auto& state = static_cast<optim::AdamParamState&>(*adam.state().begin()->second);
    return state.exp_avg_sq().scalar_type();
  };
  EXPECT_EQ(state_dtype({}), torch::kBFloat16);
  EXPECT_EQ(state_dtype(RowOptions().state_dtype(torch::kFloat)), torch::kFloat);
  EXPECT_THAT(message_of([&] { state_dtype(RowOptions().state_dtype(torch::kDouble)); }),
              HasSubstr("state[0] must be of weight's dtype"));
}

TEST(StateDtype, OfNumbersPerRowIsFloat) {
  auto table = make_table(torch::kHalf);
  optim::RowWiseAdagrad adagrad(table->parameters());
  table(torch::tensor({1})).sum().backward();
  adagrad.step();
  const auto& state =
      static_cast<optim::RowWiseAdagradParamState&>(*adagrad.state().begin()->second);
  EXPECT_EQ(state.sum().scalar_type(), torch::kFloat);
  EXPECT_EQ(state.sum().sizes(), torch::IntArrayRef({kNumRows}));
}

// torch's Adagrad makes its sums when it is made, in the parameter's dtype.
TEST(StateDtype, ReplacesSumsOfTorchs) {
  auto table = make_table(torch::kBFloat16);
  optim::Adagrad adagrad(table->parameters(),
                         optim::AdagradOptions(0.1).initial_accumulator_value(0.5),
                         RowOptions().state_dtype(torch::kFloat));
  table(torch::tensor({1})).sum().backward();
  adagrad.step();
  const auto& state = static_cast<optim::AdagradParamState&>(*adagrad.state().begin()->second);
  EXPECT_TRUE(bit_equal(state.sum()[1], torch::full({kDim}, 1.5)));
  EXPECT_TRUE(bit_equal(state.sum()[0], torch::full({kDim}, 0.5)));
}

}  // namespace
}  // namespace rowlane::testing
