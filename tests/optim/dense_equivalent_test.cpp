// Rows that are behind: who brings them up to date, and what can't be right without it.
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <sstream>
#include <vector>

#include "rowlane/embedding.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;
using ::testing::AllOf;
using ::testing::HasSubstr;

RowOptions dense_equivalent() { return RowOptions().semantics(RowSemantics::kDenseEquivalent); }

LookUpFunction reads(nn::Embedding& table) {
  return [&table](const torch::Tensor& indices) { return table(indices); };
}

// A table whose rows are behind, and what it is when they aren't.
class RowsBehind : public ::testing::Test {
 protected:
  RowsBehind() {
    torch::optim::SGD theirs(expected_->parameters(), options());
    const auto batches = make_batches(20);
    train([&](const torch::Tensor& indices) { return expected_(indices); }, theirs, batches);
    table_->attach(*sgd_);
    train(reads(table_), *sgd_, batches);
  }
  static torch::optim::SGDOptions options() { return torch::optim::SGDOptions(0.05).momentum(0.9); }

  ::testing::AssertionResult is_up_to_date(const torch::Tensor& weight) const {
    return near(weight, expected_->weight, 1e-6);
  }

  torch::nn::Embedding expected_ = make_torch_table(/*is_sparse=*/false);
  nn::Embedding table_ = make_table();
  std::unique_ptr<optim::SGD> sgd_ =
      std::make_unique<optim::SGD>(table_->parameters(), options(), dense_equivalent());
};

TEST_F(RowsBehind, AreBehindUntilFlushed) {
  EXPECT_FALSE(is_up_to_date(table_->weight));
  sgd_->flush();
  EXPECT_TRUE(is_up_to_date(table_->weight));
  const auto flushed = table_->weight.detach().clone();
  sgd_->flush();
  EXPECT_TRUE(bit_equal(table_->weight, flushed));
}

TEST_F(RowsBehind, CatchUpWhenTheyAreRead) {
  const auto all = torch::arange(kNumRows);
  EXPECT_TRUE(is_up_to_date(table_(all)));
  EXPECT_TRUE(is_up_to_date(table_->weight));
}

TEST_F(RowsBehind, CatchUpWithoutAGraph) {
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(is_up_to_date(table_(torch::arange(kNumRows, torch::kInt))));
}

TEST_F(RowsBehind, CatchUpInInferenceMode) {
  const c10::InferenceMode inference;
  EXPECT_TRUE(is_up_to_date(table_(torch::arange(kNumRows))));
}

TEST_F(RowsBehind, CatchUpWhenTheOptimizerIsGone) {
  sgd_.reset();
  EXPECT_TRUE(is_up_to_date(table_(torch::arange(kNumRows))));
}

TEST_F(RowsBehind, CatchUpBeforeTheModuleIsSaved) {
  std::stringstream stream;
  torch::nn::Sequential model(table_);
  torch::save(model, stream);
  torch::nn::Embedding loaded(kNumRows, kDim);
  torch::nn::Sequential theirs(loaded);
  torch::load(theirs, stream);
  EXPECT_TRUE(is_up_to_date(loaded->weight));
}

TEST_F(RowsBehind, CatchUpBeforeTheModuleIsCloned) {
  const auto clone = std::dynamic_pointer_cast<nn::EmbeddingImpl>(table_->clone());
  EXPECT_TRUE(is_up_to_date(clone->weight));
}

TEST_F(RowsBehind, CatchUpBetweenTwoLookUpsOfAGraph) {
  const auto first = table_(torch::tensor({1, 2}));
  const auto second = table_(torch::tensor({kNumRows - 1}));
  EXPECT_NO_THROW((first.pow(2).sum() + second.pow(2).sum()).backward());
}

TEST_F(RowsBehind, AreAnErrorWhenReadPastTheModule) {
  sgd_->zero_grad();
  {
    const torch::NoGradGuard no_grad;
    table_(torch::tensor({1}));  // is up to date now; the last row isn't
  }
  const auto before = table_->weight.detach().clone();
  const auto last = torch::tensor({std::int64_t{1}, kNumRows - 1});
  rowlane::embedding(table_->weight, last, EmbeddingFuncOptions().row_gradient(true))
      .sum()
      .backward();
  EXPECT_THAT(
      message_of([&] { sgd_->step(); }),
      AllOf(HasSubstr(
                "rowlane::optim::SGD: row 39 of a table [40, 7] is up to date to step 19 of 20"),
            HasSubstr("attach() the nn::Embedding that reads it to the optimizer, or flush() the "
                      "optimizer before the forward pass")));
  EXPECT_TRUE(bit_equal(table_->weight, before));
}

TEST_F(RowsBehind, AreAnErrorOfADenseGradient) {
  sgd_->zero_grad();
  (table_->weight * 2).sum().backward();
  EXPECT_THAT(message_of([&] { sgd_->step(); }), HasSubstr("is up to date to step"));
}

TEST_F(RowsBehind, TakeDenseGradientsAfterAFlush) {
  torch::optim::SGD theirs(expected_->parameters(), options());
  std::stringstream stream;
  torch::save(*sgd_, stream);  // flushes
  torch::load(theirs, stream);
  for (int step = 0; step < 3; ++step) {
    sgd_->zero_grad();
    theirs.zero_grad();
    table_->weight.pow(3).sum().mul(0.1).backward();
    expected_->weight.pow(3).sum().mul(0.1).backward();
    sgd_->step();
    theirs.step();
  }
  EXPECT_TRUE(is_up_to_date(table_->weight));
}

TEST(DenseEquivalent, NeedsNoModuleWhenFlushedBeforeEachForward) {
  auto expected = make_torch_table(/*is_sparse=*/false);
  torch::optim::Adam theirs(expected->parameters(), torch::optim::AdamOptions(0.02));
  auto table = make_table();
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.02), dense_equivalent());
  const auto batches = make_batches(60);
  train([&](const torch::Tensor& indices) { return expected(indices); }, theirs, batches);
  train(
      [&](const torch::Tensor& indices) {
        adam.flush();
        return rowlane::embedding(table->weight, indices,
                                  EmbeddingFuncOptions().row_gradient(true).padding_idx(kPadding));
      },
      adam, batches);
  adam.flush();
  EXPECT_TRUE(near(table->weight, expected->weight, 1e-6));
}

// Steps in which a parameter has no gradient don't count for it, in torch as here.
TEST(DenseEquivalent, StandsStillWithoutAGradient) {
  auto expected = make_torch_table(/*is_sparse=*/false);
  auto table = make_table();
  torch::optim::Adam theirs(expected->parameters(), torch::optim::AdamOptions(0.02));
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.02), dense_equivalent());
  table->attach(adam);
  int count = 0;
  for (const auto& indices : make_batches(60)) {
    theirs.zero_grad();
    adam.zero_grad();
    if (++count % 4 != 0) {
      loss_of(expected(indices), indices).backward();
      loss_of(table(indices), indices).backward();
    }
    theirs.step();
    adam.step();
  }
  adam.flush();
  EXPECT_TRUE(near(table->weight, expected->weight, 1e-6));
}

// A table's momentum may begin, end and begin again.
TEST(DenseEquivalent, FollowsOptionsThatChange) {
  const auto sgd_options = [](torch::optim::Optimizer & optimizer) -> auto& {
    return static_cast<torch::optim::SGDOptions&>(optimizer.param_groups()[0].options());
  };
  for (const double weight_decay : {0., 0.02}) {
    SCOPED_TRACE(weight_decay);
    const auto options = torch::optim::SGDOptions(0.05).dampening(0.4).weight_decay(weight_decay);
    auto expected = make_torch_table(/*is_sparse=*/false);
    torch::optim::SGD theirs(expected->parameters(), options);
    auto table = make_table();
    optim::SGD mine(table->parameters(), options, dense_equivalent());
    table->attach(mine);
    const auto change = [&](torch::optim::Optimizer& optimizer) {
      return [&](int step) {
        if (step == 10 || step == 40) {
          sgd_options(optimizer).momentum(0.9);
        }
        if (step == 30) {
          sgd_options(optimizer).momentum(0);
        }
      };
    };
    const auto batches = make_batches(60);
    train([&](const torch::Tensor& indices) { return expected(indices); }, theirs, batches,
          change(theirs));
    train(reads(table), mine, batches, change(mine));
    mine.flush();
    EXPECT_TRUE(near(table->weight, expected->weight, 1e-6));
  }
}

// A learning rate of its own in each of more steps than a history keeps.
TEST(DenseEquivalent, KeepsAHistoryOfBoundedLength) {
  constexpr int kSteps = 4200;
  const auto initial = torch::tensor({{1.F, 2.F}, {3.F, 4.F}});
  auto theirs_weight = initial.clone().requires_grad_();
  auto mine_weight = initial.clone().requires_grad_();
  const auto options = torch::optim::SGDOptions(0.1).momentum(0.5).weight_decay(1e-4);
  torch::optim::SGD theirs({theirs_weight}, options);
  optim::SGD mine(std::vector<torch::Tensor>{mine_weight}, options, dense_equivalent());
  const auto dense = torch::tensor({{1.F, -1.F}, {0.F, 0.F}}) * 0.01;
  const auto sparse =
      torch::sparse_coo_tensor(torch::tensor({{0}}), torch::tensor({{1.F, -1.F}}) * 0.01, {2, 2})
          .coalesce();
  for (int step = 0; step < kSteps; ++step) {
    for (torch::optim::Optimizer* optimizer : {static_cast<torch::optim::Optimizer*>(&theirs),
                                               static_cast<torch::optim::Optimizer*>(&mine)}) {
      optimizer->param_groups()[0].options().set_lr(0.1 / (1 + 1e-3 * step));
    }
    theirs_weight.mutable_grad() = dense.clone();
    mine_weight.mutable_grad() = sparse;
    theirs.step();
    mine.step();
  }
  // Row 1 has caught up once, when the history was full.
  EXPECT_FALSE(mine_weight[1].equal(initial[1]));
  mine.flush();
  EXPECT_TRUE(near(mine_weight, theirs_weight, 1e-5));
}

}  // namespace
}  // namespace rowlane::testing
