// One optimizer for a whole model: tables and ordinary parameters, as torch users train them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <tuple>
#include <type_traits>
#include <vector>

#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;
using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<optim::Adam>);
static_assert(!std::is_move_constructible_v<optim::Adam>, "modules refer to its memory");
static_assert(std::is_base_of_v<torch::optim::Adam, optim::Adam>);

// A table and two layers after it.
template <typename TableT>
struct Model {
  explicit Model(TableT look_up) : table(std::move(look_up)) {
    torch::manual_seed(2);
    hidden = torch::nn::Linear(kDim, 5);
    out = torch::nn::Linear(5, 1);
  }
  torch::Tensor loss(const torch::Tensor& indices) {
    return (out(torch::tanh(hidden(table(indices)))) - 0.5).pow(2).sum();
  }
  std::vector<torch::Tensor> parameters() {
    return {hidden->weight, table->weight, hidden->bias, out->weight, out->bias};
  }

  TableT table;
  torch::nn::Linear hidden{nullptr};
  torch::nn::Linear out{nullptr};
};

template <typename ModelT>
std::vector<double> train_model(ModelT& model, torch::optim::Optimizer& optimizer) {
  std::vector<double> losses;
  for (const auto& indices : make_batches(100)) {
    optimizer.zero_grad();
    const auto loss = model.loss(indices);
    loss.backward();
    optimizer.step();
    losses.push_back(loss.template item<double>());
  }
  return losses;
}

template <typename Theirs, typename Mine, typename OptionsT>
void expect_equal_models(const OptionsT& options, bool theirs_is_sparse,
                         const RowOptions& row_options = {}) {
  Model their_model(make_torch_table(theirs_is_sparse));
  Theirs theirs(their_model.parameters(), options);
  const auto their_losses = train_model(their_model, theirs);
  for (const bool is_fused : {false, true}) {
    SCOPED_TRACE(is_fused ? "fused" : "unfused");
    Model model(make_table());
    Mine mine(model.parameters(), options, row_options);
    is_fused ? model.table->fuse(mine) : model.table->attach(mine);
    const auto losses = train_model(model, mine);
    mine.flush();
    EXPECT_TRUE(near(losses, their_losses, 1e-6));
    const auto parameters = model.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_TRUE(near(parameters[i], their_model.parameters()[i], 2e-6)) << i;
    }
  }
}

TEST(WholeModel, TrainsAsWithTorchsSGD) {
  expect_equal_models<torch::optim::SGD, optim::SGD>(torch::optim::SGDOptions(0.01), true);
}

TEST(WholeModel, TrainsAsWithTorchsAdagrad) {
  expect_equal_models<torch::optim::Adagrad, optim::Adagrad>(torch::optim::AdagradOptions(0.05),
                                                             true);
}

TEST(WholeModel, TrainsAsWithTorchsDenseAdam) {
  expect_equal_models<torch::optim::Adam, optim::Adam>(
      torch::optim::AdamOptions(0.01), false,
      RowOptions().semantics(RowSemantics::kDenseEquivalent));
}

TEST(WholeModel, CountsAStepOfEachKindOnce) {
  Model model(make_table());
  optim::Adam adam(model.parameters());
  for (int step = 1; step <= 3; ++step) {
    model.loss(torch::tensor({1, 2})).backward();
    adam.step();
    for (const auto& parameter : model.parameters()) {
      const auto& state = adam.state().at(parameter.unsafeGetTensorImpl());
      EXPECT_EQ(static_cast<optim::AdamParamState&>(*state).step(), step);
      EXPECT_TRUE(parameter.grad().defined());
    }
  }
}

TEST(WholeModel, HasGroupsWithOptionsOfTheirOwn) {
  auto table = make_table();
  torch::nn::Linear layer(kDim, 1);
  const auto options = [](double lr) { return std::make_unique<torch::optim::SGDOptions>(lr); };
  optim::SGD sgd({{{layer->weight, layer->bias}, options(0.25)}, {{table->weight}, options(2)}},
                 torch::optim::SGDOptions(0.1));
  const auto layer_before = layer->weight.detach().clone();
  (layer(table(torch::tensor({1}))).sum()).backward();
  sgd.step();
  EXPECT_TRUE(near(table->weight[1], initial_table()[1] - 2 * layer_before[0], 1e-6));
  EXPECT_TRUE(near(layer->weight[0], layer_before[0] - 0.25 * initial_table()[1], 1e-6));
}

TEST(Step, TakesAClosure) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  for (const bool is_fused : {false, true}) {
    if (is_fused) {
      table->fuse(sgd);
    }
    int calls = 0;
    const torch::NoGradGuard no_grad;
    const auto loss = sgd.step([&] {
      ++calls;
      sgd.zero_grad();
      auto closure_loss = loss_of(table(torch::tensor({1 + calls})), torch::tensor({1 + calls}));
      closure_loss.backward();
      return closure_loss;
    });
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(loss.defined());
    EXPECT_FALSE(table->weight[2].equal(initial_table()[2]));
  }
}

TEST(Step, LeavesOtherRowsAndTheirStatesAlone) {
  for (const Rule& rule : all_rules()) {
    SCOPED_TRACE(rule.name);
    auto table = make_table();
    const auto optimizer = rule.make(table->parameters(), {});
    for (int step = 0; step < 3; ++step) {
      optimizer->zero_grad();
      loss_of(table(torch::tensor({1, 5, 5})), torch::tensor({1, 5, 5})).backward();
      optimizer->step();
    }
    auto expected = initial_table();
    for (const int row : {1, 5}) {
      EXPECT_FALSE(table->weight[row].equal(expected[row]));
      expected[row].copy_(table->weight.detach()[row]);
    }
    EXPECT_TRUE(bit_equal(table->weight, expected));
  }
}

TEST(Step, IsTakenByAnEmptyGradientAndNotWithoutOne) {
  auto table = make_table();
  optim::SparseAdam adam(table->parameters());
  const auto steps = [&] {
    const auto found = adam.state().find(table->weight.unsafeGetTensorImpl());
    return found == adam.state().end()
               ? 0
               : static_cast<optim::SparseAdamParamState&>(*found->second).step();
  };
  adam.step();
  EXPECT_EQ(steps(), 0);
  table(torch::empty({0}, torch::kLong)).sum().backward();
  EXPECT_EQ(table->weight.grad()._nnz(), 0);
  adam.step();
  EXPECT_EQ(steps(), 1);
  adam.zero_grad(/*set_to_none=*/false);
  adam.step();
  EXPECT_EQ(steps(), 2);
  adam.zero_grad();
  adam.step();
  EXPECT_EQ(steps(), 2);
  EXPECT_TRUE(bit_equal(table->weight, initial_table()));
}

// ---------------------------------------------------------------------------------------------
// What happens to a gradient between backward and step

struct Both {
  nn::Embedding mine = make_table();
  torch::nn::Embedding theirs = make_torch_table(/*is_sparse=*/true);
  optim::Adagrad my_optimizer{mine->parameters(), optim::AdagradOptions(0.2)};
  torch::optim::Adagrad their_optimizer{theirs->parameters(), optim::AdagradOptions(0.2)};
};

TEST(Gradients, AreClippedByNorm) {
  Both both;
  for (const auto& indices : make_batches(30)) {
    both.my_optimizer.zero_grad();
    both.their_optimizer.zero_grad();
    loss_of(both.mine(indices), indices).backward();
    loss_of(both.theirs(indices), indices).backward();
    // torch takes the norm of the entries, so those of the same row must have been summed.
    both.theirs->weight.mutable_grad() = both.theirs->weight.grad().coalesce();
    torch::nn::utils::clip_grad_norm_(both.mine->parameters(), 0.5);
    torch::nn::utils::clip_grad_norm_(both.theirs->parameters(), 0.5);
    both.my_optimizer.step();
    both.their_optimizer.step();
  }
  EXPECT_TRUE(near(both.mine->weight, both.theirs->weight, 1e-6));
  EXPECT_FALSE(both.mine->weight.equal(initial_table()));
}

TEST(Gradients, AreClippedByValue) {
  Both both;
  for (const auto& indices : make_batches(30)) {
    both.my_optimizer.zero_grad();
    both.their_optimizer.zero_grad();
    loss_of(both.mine(indices), indices).backward();
    loss_of(both.theirs(indices), indices).backward();
    both.theirs->weight.mutable_grad() = both.theirs->weight.grad().coalesce();
    both.mine->weight.grad()._values().clamp_(-0.1, 0.1);
    both.theirs->weight.grad()._values().clamp_(-0.1, 0.1);
    both.my_optimizer.step();
    both.their_optimizer.step();
  }
  EXPECT_TRUE(near(both.mine->weight, both.theirs->weight, 1e-6));
  EXPECT_FALSE(both.mine->weight.equal(initial_table()));
}

TEST(Gradients, AccumulateOverMicroBatches) {
  Both both;
  int count = 0;
  for (const auto& indices : make_batches(60)) {
    loss_of(both.mine(indices), indices).backward();
    loss_of(both.theirs(indices), indices).backward();
    if (++count % 3 == 0) {
      both.my_optimizer.step();
      both.their_optimizer.step();
      both.my_optimizer.zero_grad();
      both.their_optimizer.zero_grad();
    }
  }
  EXPECT_TRUE(near(both.mine->weight, both.theirs->weight, 1e-6));
  EXPECT_FALSE(both.mine->weight.equal(initial_table()));
}

// ---------------------------------------------------------------------------------------------
// Errors

TEST(Step, RefusesDenseGradientsOfSparseAdamAsTorchDoes) {
  auto table = make_table(torch::kFloat, /*row_gradient=*/false);
  optim::SparseAdam adam(table->parameters());
  table(torch::tensor({1})).sum().backward();
  EXPECT_THAT(message_of([&] { adam.step(); }),
              HasSubstr("rowlane::optim::SparseAdam does not support dense gradients, please "
                        "consider Adam instead"));
}

TEST(Step, RefusesSparseGradientsThatAreNotOfRows) {
  auto parameter = torch::zeros({3, 2}).requires_grad_();
  optim::Adam adam(std::vector<torch::Tensor>{parameter});
  parameter.mutable_grad() = torch::ones({3, 2}).to_sparse();
  EXPECT_THAT(
      message_of([&] { adam.step(); }),
      HasSubstr("rowlane::optim::Adam: a sparse gradient must be one of rows of a 2-D table, "
                "got 2 sparse dimensions of shape [3, 2]"));
}

TEST(Step, RefusesATableThatIsNotContiguous) {
  auto parameter = torch::zeros({2, 3}).t().requires_grad_();
  optim::Adam adam(std::vector<torch::Tensor>{parameter});
  parameter.mutable_grad() = torch::ones({3, 2}).to_sparse(1);
  EXPECT_THAT(message_of([&] { adam.step(); }),
              HasSubstr("rowlane::optim::Adam: a table must be contiguous, got strides [1, 3]"));
}

TEST(Step, GivesGradientsBackWhenTorchsStepFails) {
  Model model(make_table());
  optim::Adagrad adagrad(model.parameters());
  model.loss(torch::tensor({1, 2})).backward();
  adagrad.state().clear();  // which torch's own Adagrad takes as an error
  EXPECT_ANY_THROW(adagrad.step());
  EXPECT_TRUE(model.table->weight.grad().is_sparse());
  EXPECT_TRUE(bit_equal(model.table->weight, initial_table()));
}

}  // namespace
}  // namespace rowlane::testing
