// Steps in the backward pass: the same bits as with a gradient, and errors where they can't be
// right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/torch.h>

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;
using ::testing::HasSubstr;

LookUpFunction reads(nn::Embedding& table) {
  return [&table](const torch::Tensor& indices) { return table(indices); };
}

// ---------------------------------------------------------------------------------------------
// The same bits

class FusedAndUnfused : public ::testing::TestWithParam<Rule> {};

void expect_same_bits(const Rule& rule, torch::ScalarType dtype, const RowOptions& options) {
  const auto batches = make_batches(60);
  std::vector<double> losses[2];
  nn::Embedding tables[2]{make_table(dtype), make_table(dtype)};
  for (const int is_fused : {0, 1}) {
    torch::manual_seed(17);
    auto& table = tables[is_fused];
    // A row gradient is rounded to the table's 16 bits; gradients that aren't summed yet aren't.
    const bool is_sparse = table->weight.element_size() == 2;
    table->options.sparse(is_sparse).row_gradient(!is_sparse);
    const auto optimizer = rule.make(table->parameters(), options);
    is_fused == 1 ? table->fuse(rows_of(*optimizer)) : table->attach(rows_of(*optimizer));
    losses[is_fused] = train(reads(table), *optimizer, batches, [&](int /*step*/) {
      EXPECT_EQ(table->weight.grad().defined(), is_fused == 0);
    });
    rows_of(*optimizer).flush();
  }
  EXPECT_TRUE(bit_equal(tables[1]->weight, tables[0]->weight));
  EXPECT_EQ(losses[1], losses[0]);
  EXPECT_FALSE(tables[1]->weight.equal(initial_table(dtype)));
}

TEST_P(FusedAndUnfused, HaveTheSameBits) {
  for (const auto dtype : {torch::kFloat, torch::kDouble, torch::kBFloat16, torch::kHalf}) {
    SCOPED_TRACE(dtype);
    expect_same_bits(GetParam(), dtype, {});
    expect_same_bits(GetParam(), dtype, RowOptions().per_row_steps(true));
  }
}

TEST_P(FusedAndUnfused, HaveTheSameBitsWhenRowsCatchUp) {
  if (GetParam().has_dense_twin) {
    const auto options = RowOptions().semantics(RowSemantics::kDenseEquivalent);
    expect_same_bits(GetParam(), torch::kFloat, options);
    expect_same_bits(GetParam(), torch::kBFloat16, RowOptions(options).stochastic_rounding(true));
  }
}

TEST_P(FusedAndUnfused, HaveTheSameBitsInSixteen) {
  expect_same_bits(GetParam(), torch::kBFloat16,
                   RowOptions().stochastic_rounding(true).state_dtype(torch::kFloat));
  expect_same_bits(GetParam(), torch::kHalf, RowOptions().master_weights(true));
}

INSTANTIATE_TEST_SUITE_P(AllRules, FusedAndUnfused, ::testing::ValuesIn(all_rules()),
                         [](const auto& info) { return info.param.name; });

// Two tables and a layer; random numbers of both tables' rounding.
TEST(FusedTables, OfOneOptimizerHaveTheSameBits) {
  torch::Tensor weights[2][2];
  for (const int is_fused : {0, 1}) {
    torch::manual_seed(23);
    auto users = make_table(torch::kBFloat16);
    auto items = make_table(torch::kBFloat16);
    torch::nn::Linear layer(kDim, 1);
    layer->to(torch::kBFloat16);
    optim::Adam adam({users->weight, layer->weight, items->weight}, optim::AdamOptions(0.02),
                     RowOptions().stochastic_rounding(true));
    for (auto* table : {&users, &items}) {
      (*table)->options.sparse(true).row_gradient(false);
      if (is_fused == 1) {
        (*table)->fuse(adam);
      }
    }
    for (const auto& indices : make_batches(20)) {
      adam.zero_grad();
      layer(users(indices) * items(indices.flip(0))).pow(2).sum().backward();
      adam.step();
    }
    weights[is_fused][0] = users->weight.detach();
    weights[is_fused][1] = items->weight.detach();
  }
  EXPECT_TRUE(bit_equal(weights[1][0], weights[0][0]));
  EXPECT_TRUE(bit_equal(weights[1][1], weights[0][1]));
}

TEST(FusedTables, LookedUpTwiceAreSummedFirst) {
  torch::Tensor weights[2];
  for (const int is_fused : {0, 1}) {
    torch::manual_seed(5);
    nn::Embedding table(nn::EmbeddingOptions(9, 4).padding_idx(0).row_gradient(true)._weight(
        integers({9, 4}, torch::kFloat)));
    // With a power of two as learning rate all sums are exact.
    optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5).momentum(0.5));
    if (is_fused == 1) {
      table->fuse(sgd);
    }
    for (int step = 0; step < 3; ++step) {
      sgd.zero_grad();
      const auto first = table(torch::tensor({{1, 2, 2}, {0, 8, 1}}));
      const auto second = table(torch::tensor({1, 7, 0}, torch::kInt));
      (first.sum() + (second * integers({3, 4}, torch::kFloat)).sum()).backward();
      sgd.step();
    }
    weights[is_fused] = table->weight.detach();
  }
  EXPECT_TRUE(bit_equal(weights[1], weights[0]));
}

TEST(FusedTables, TakeNoStepWithoutABackwardPass) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  table(torch::tensor({1, 2}));
  sgd.step();
  {
    const torch::NoGradGuard no_grad;
    EXPECT_FALSE(table(torch::tensor({1, 2})).requires_grad());
  }
  EXPECT_TRUE(bit_equal(table->weight, initial_table()));
}

TEST(FusedTables, OfFrozenWeightsTakeNoStep) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  table->weight.set_requires_grad(false);
  EXPECT_FALSE(table(torch::tensor({1, 2})).requires_grad());
}

TEST(FusedTables, LeaveGradientsOfOthersAlone) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  const auto scale = torch::ones({kDim}).requires_grad_();
  const auto loss = (table(torch::tensor({1, 2})) * scale).sum();
  EXPECT_TRUE(torch::autograd::grad({loss}, {scale})[0].defined());
  EXPECT_TRUE(bit_equal(table->weight, initial_table()));
}

TEST(FusedTables, HaveAGradientAgainWhenUnfused) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  table->unfuse();
  table(torch::tensor({1, 2})).sum().backward();
  EXPECT_TRUE(table->weight.grad().defined());
  sgd.step();
  EXPECT_FALSE(table->weight.equal(initial_table()));
  table->unfuse();
}

TEST(FusedTables, AreFusedNeitherInClonesNorInCopies) {
  auto table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  const auto clone = std::dynamic_pointer_cast<nn::EmbeddingImpl>(table->clone());
  const nn::EmbeddingImpl copy(*table);
  EXPECT_TRUE(table->is_fused());
  EXPECT_FALSE(clone->is_fused());
  EXPECT_FALSE(copy.is_fused());
  clone->forward(torch::tensor({1, 2})).sum().backward();
  EXPECT_TRUE(clone->weight.grad().defined());
}

TEST(FusedTables, PrintThatTheyAreFused) {
  nn::Embedding table(4, 2);
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  const auto printed = [&] {
    std::ostringstream text;
    text << table;
    return text.str();
  };
  table->fuse(sgd);
  EXPECT_EQ(printed(), "rowlane::nn::Embedding(num_embeddings=4, embedding_dim=2, fused)");
  table->unfuse();
  EXPECT_EQ(printed(), "rowlane::nn::Embedding(num_embeddings=4, embedding_dim=2)");
}

// The rows of a graph that is older than the last step were right when they were read.
TEST(FusedTables, CatchUpBehindAnOldGraph) {
  torch::Tensor weights[2];
  for (const int is_fused : {0, 1}) {
    auto table = make_table(torch::kFloat, /*row_gradient=*/is_fused == 1);
    optim::SGD mine(table->parameters(), optim::SGDOptions(0.1).momentum(0.9),
                    RowOptions().semantics(RowSemantics::kDenseEquivalent));
    torch::optim::SGD theirs(table->parameters(), torch::optim::SGDOptions(0.1).momentum(0.9));
    torch::optim::Optimizer& sgd =
        is_fused == 1 ? static_cast<torch::optim::Optimizer&>(mine) : theirs;
    if (is_fused == 1) {
      table->fuse(mine);
    }
    for (int round = 0; round < 3; ++round) {
      const auto first = table(torch::tensor({1, 2})).pow(2).sum();
      const auto second = table(torch::tensor({2, 4})).pow(2).sum();
      for (const auto& loss : {first, second}) {
        sgd.zero_grad();
        loss.backward();
        sgd.step();
      }
    }
    mine.flush();
    weights[is_fused] = table->weight.detach();
  }
  EXPECT_TRUE(near(weights[1], weights[0], 1e-6));
}

// ---------------------------------------------------------------------------------------------
// Errors

class FusedErrors : public ::testing::Test {
 protected:
  FusedErrors() { table_->fuse(sgd_); }

  void expect_unchanged() const { EXPECT_TRUE(bit_equal(table_->weight, initial_table())); }
  torch::Tensor loss() { return table_(torch::tensor({1, 2})).pow(2).sum(); }
  // A further training step is right.
  void expect_trains_on() {
    sgd_.step();
    sgd_.zero_grad();
    loss().backward();
    EXPECT_FALSE(table_->weight[1].equal(initial_table()[1]));
    EXPECT_TRUE(near(table_->weight[1], initial_table()[1] * 0, 1e-6));  // lr 0.5 of 2 w
  }

  nn::Embedding table_ = make_table();
  optim::SGD sgd_{table_->parameters(), optim::SGDOptions(0.5)};
};

TEST_F(FusedErrors, DoubleBackward) {
  EXPECT_THAT(message_of([&] { loss().backward({}, std::nullopt, /*create_graph=*/true); }),
              HasSubstr("rowlane::nn::Embedding: the table is fused with its optimizer and has no "
                        "gradient, so create_graph must be false"));
  expect_unchanged();
  expect_trains_on();
}

TEST_F(FusedErrors, GradientByName) {
  constexpr const char* kMessage =
      "can't be asked for by autograd.grad or by the inputs of backward";
  EXPECT_THAT(message_of([&] { torch::autograd::grad({loss()}, {table_->weight}); }),
              HasSubstr(kMessage));
  EXPECT_THAT(message_of([&] {
                loss().backward({}, std::nullopt, false,
                                std::vector<torch::Tensor>{table_->weight});
              }),
              HasSubstr(kMessage));
  expect_unchanged();
  expect_trains_on();
}

TEST_F(FusedErrors, SecondBackwardPass) {
  loss().backward();
  const auto after_first = table_->weight.detach().clone();
  EXPECT_THAT(
      message_of([&] { loss().backward(); }),
      HasSubstr("rowlane::nn::Embedding: a fused table takes its step in the backward pass, so "
                "there must be a step() of the optimizer between two backward passes"));
  EXPECT_TRUE(bit_equal(table_->weight, after_first));
  sgd_.step();
  EXPECT_NO_THROW(loss().backward());
}

TEST_F(FusedErrors, AFailedPassLeavesNothingPending) {
  // The node of the table runs first, then one that throws.
  auto other = torch::ones({2, kDim}).requires_grad_();
  const auto failing = other * 1;
  failing.register_hook([](const torch::Tensor& /*grad*/) -> torch::Tensor {
    throw std::runtime_error("a hook failed");
  });
  const auto rows = table_(torch::tensor({1, 2}));
  EXPECT_THROW((failing.pow(2).sum() + rows.pow(2).sum()).backward(), std::runtime_error);
  expect_unchanged();
  expect_trains_on();
}

TEST_F(FusedErrors, GradientFromElsewhere) {
  constexpr const char* kMessage =
      "rowlane::nn::Embedding: a fused table must have no gradient, but weight.grad is defined";
  EXPECT_THAT(message_of([&] { (loss() + table_->weight.sum()).backward(); }), HasSubstr(kMessage));
  expect_unchanged();
  EXPECT_THAT(message_of([&] { sgd_.step(); }),
              HasSubstr("rowlane::optim::SGD: a fused table must have no gradient"));
  sgd_.zero_grad();
  expect_trains_on();
}

TEST_F(FusedErrors, Hooks) {
  const auto handle =
      table_->weight.register_hook([](const torch::Tensor& grad) { return grad * 2; });
  EXPECT_THAT(message_of([&] { loss(); }),
              HasSubstr("rowlane::nn::Embedding: a fused table must have no hooks"));
  table_->weight.remove_hook(handle);
  expect_trains_on();
}

TEST_F(FusedErrors, WeightThatWasReplaced) {
  table_->weight = initial_table().requires_grad_();
  EXPECT_THAT(message_of([&] { loss(); }),
              HasSubstr("rowlane::nn::Embedding: weight was replaced by another tensor"));
}

TEST_F(FusedErrors, ForwardMode) {
  const auto level = torch::autograd::ForwardADLevel::get_next_idx();
  {
    const torch::NoGradGuard no_grad;
    table_->weight._set_fw_grad(torch::ones({kNumRows, kDim}), level, /*is_inplace_op=*/false);
  }
  EXPECT_THAT(message_of([&] { loss(); }), HasSubstr("so weight must have no tangent"));
  torch::autograd::ForwardADLevel::release_idx(level);
  expect_trains_on();
}

TEST(FusedScaling, IsRightForOneLookUpAndAnErrorForTwo) {
  torch::Tensor weights[2];
  for (const int is_fused : {0, 1}) {
    auto table = make_table();
    table->options.scale_grad_by_freq(true);
    optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
    if (is_fused == 1) {
      table->fuse(sgd);
    }
    table(torch::tensor({1, 2, 2, 2})).pow(2).sum().backward();
    sgd.step();
    weights[is_fused] = table->weight.detach().clone();
    if (is_fused == 1) {
      EXPECT_THAT(message_of([&] {
                    (table(torch::tensor({1})).sum() + table(torch::tensor({2})).sum()).backward();
                  }),
                  HasSubstr("rowlane::nn::Embedding: a fused table with scale_grad_by_freq can be "
                            "looked up once in a backward pass, got 2 look-ups"));
      EXPECT_TRUE(bit_equal(table->weight, weights[1]));
    }
  }
  EXPECT_TRUE(bit_equal(weights[1], weights[0]));
}

TEST(Fuse, RefusesWhatCantBeRight) {
  const std::vector<torch::Tensor> others{torch::zeros({3}).requires_grad_()};
  nn::Embedding table(nn::EmbeddingOptions(4, 2));
  optim::SGD of_others(others, optim::SGDOptions(0.5));
  EXPECT_THAT(
      message_of([&] { table->fuse(of_others); }),
      HasSubstr("rowlane::optim::SGD: weight must be one of the optimizer's parameters, got "
                "another tensor of shape [4, 2]"));
  EXPECT_THAT(message_of([&] { table->attach(of_others); }),
              HasSubstr("weight must be one of the optimizer's parameters"));

  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->options.algorithm(BackwardAlgorithm::kAtomic);
  EXPECT_THAT(
      message_of([&] { table->fuse(sgd); }),
      HasSubstr("rowlane::nn::Embedding::fuse: algorithm must be auto or sorted, got atomic"));
  table->options.algorithm(BackwardAlgorithm::kAuto).sparse(true).scale_grad_by_freq(true);
  EXPECT_THAT(message_of([&] { table->fuse(sgd); }),
              HasSubstr("sparse and scale_grad_by_freq contradict each other"));
  table->options.sparse(false).scale_grad_by_freq(false);

  const auto leaf = table->weight;
  table->weight = leaf * 2;
  EXPECT_THAT(
      message_of([&] { table->fuse(sgd); }),
      HasSubstr("rowlane::nn::Embedding::fuse: weight must be a leaf, got the result of Mul"));
  table->weight = leaf;

  optim::SGD with_masters(table->parameters(), optim::SGDOptions(0.5),
                          RowOptions().master_weights(true));
  table->options.max_norm(1);
  EXPECT_THAT(message_of([&] { table->fuse(with_masters); }),
              HasSubstr("max_norm must not be given with master_weights"));

  nn::EmbeddingImpl copy(*table);
  table->fuse(sgd);
  EXPECT_THAT(message_of([&] { copy.fuse(sgd); }),
              HasSubstr("weight is fused by another module already"));
  EXPECT_NO_THROW(table->fuse(sgd));
}

TEST(Fuse, OutlivesTheOptimizerAsAnError) {
  auto table = make_table();
  {
    optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
    table->fuse(sgd);
  }
  EXPECT_THAT(
      message_of([&] { table(torch::tensor({1})); }),
      HasSubstr("rowlane::nn::Embedding: the optimizer that the table is fused with is gone"));
  {
    const torch::NoGradGuard no_grad;
    EXPECT_NO_THROW(table(torch::tensor({1})));
  }
  table->unfuse();
  EXPECT_NO_THROW(table(torch::tensor({1})).sum().backward());
}

TEST(Fuse, OutlivesTheOptimizerInABackwardPassAsAnError) {
  auto table = make_table();
  torch::Tensor loss;
  {
    optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
    table->fuse(sgd);
    loss = table(torch::tensor({1})).sum();
  }
  EXPECT_THAT(message_of([&] { loss.backward(); }), HasSubstr("is gone"));
}

TEST(Fuse, EndsWithTheModule) {
  auto weight = initial_table();
  std::vector<torch::Tensor> parameters;
  std::unique_ptr<optim::SGD> sgd;
  {
    auto table = make_table();
    parameters = table->parameters();
    sgd = std::make_unique<optim::SGD>(parameters, optim::SGDOptions(0.5));
    table->fuse(*sgd);
  }
  parameters[0].mutable_grad() = torch::ones({kNumRows, kDim});
  sgd->step();
  EXPECT_TRUE(bit_equal(parameters[0], weight - 0.5));
}

TEST(Fuse, KeepsMaxNorm) {
  torch::Tensor weights[2];
  for (const int is_fused : {0, 1}) {
    auto table = make_table();
    table->options.max_norm(0.9);
    optim::Adam adam(table->parameters(), optim::AdamOptions(0.02));
    if (is_fused == 1) {
      table->fuse(adam);
    }
    train(reads(table), adam, make_batches(20));
    weights[is_fused] = table->weight.detach();
  }
  EXPECT_TRUE(bit_equal(weights[1], weights[0]));
}

}  // namespace
}  // namespace rowlane::testing
