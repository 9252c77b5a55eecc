// Saving and loading: archives are torch's, in both directions, in the middle of a training.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <memory>
#include <sstream>
#include <vector>

#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/adamw.h"
#include "rowlane/optim/lamb.h"
#include "rowlane/optim/sgd.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;

void copy_optimizer(const torch::optim::Optimizer& from, torch::optim::Optimizer& to) {
  std::stringstream stream;
  torch::save(from, stream);
  torch::load(to, stream);
}

void copy_weight(const torch::Tensor& from, const torch::Tensor& to) {
  const torch::NoGradGuard no_grad;
  to.copy_(from);
}

std::vector<torch::Tensor> batches_of(int begin, int end) {
  const auto batches = make_batches(end);
  return {batches.begin() + begin, batches.end()};
}

// Torch trains 40 steps, Rowlane the next 40 and torch the last 40: as if torch had trained all.
template <typename Theirs, typename Mine, typename OptionsT>
void expect_interchangeable(const OptionsT& options, bool is_sparse,
                            const RowOptions& row_options = {}) {
  const auto step = [](auto& table, auto& optimizer, int begin, int end) {
    return train([&](const torch::Tensor& indices) { return table(indices); }, optimizer,
                 batches_of(begin, end));
  };
  auto expected = make_torch_table(is_sparse);
  Theirs throughout(expected->parameters(), options);
  step(expected, throughout, 0, 120);

  auto first = make_torch_table(is_sparse);
  Theirs theirs(first->parameters(), options);
  step(first, theirs, 0, 40);

  auto table = make_table();
  copy_weight(first->weight, table->weight);
  Mine mine(table->parameters(), OptionsT(0.777), row_options);  // the archive has the options
  copy_optimizer(theirs, mine);
  table->attach(mine);
  step(table, mine, 40, 80);

  auto last = make_torch_table(is_sparse);
  Theirs theirs_again(last->parameters(), OptionsT(0.777));
  copy_optimizer(mine, theirs_again);  // which brings the table up to date
  copy_weight(table->weight, last->weight);
  step(last, theirs_again, 80, 120);
  EXPECT_TRUE(near(last->weight, expected->weight, 1e-6));
  EXPECT_FALSE(last->weight.equal(table->weight));
}

RowOptions dense_equivalent() { return RowOptions().semantics(RowSemantics::kDenseEquivalent); }

TEST(Archives, AreInterchangeableWithTorchsAdagrad) {
  expect_interchangeable<torch::optim::Adagrad, optim::Adagrad>(
      torch::optim::AdagradOptions(0.2).lr_decay(0.02), true);
}

TEST(Archives, AreInterchangeableWithTorchsDenseSGD) {
  expect_interchangeable<torch::optim::SGD, optim::SGD>(
      torch::optim::SGDOptions(0.05).momentum(0.9).dampening(0.3), false, dense_equivalent());
}

TEST(Archives, AreInterchangeableWithTorchsDenseAdam) {
  expect_interchangeable<torch::optim::Adam, optim::Adam>(
      torch::optim::AdamOptions(0.02).amsgrad(true), false, dense_equivalent());
}

TEST(Archives, AreInterchangeableWithTorchsDenseAdamW) {
  expect_interchangeable<torch::optim::AdamW, optim::AdamW>(
      torch::optim::AdamWOptions(0.02).weight_decay(0.1), false, dense_equivalent());
}

// ---------------------------------------------------------------------------------------------
// Stopping and going on gives the same bits

void expect_resumes(const Rule& rule, torch::ScalarType dtype, const RowOptions& options) {
  torch::Tensor weights[2];
  for (const bool is_interrupted : {false, true}) {
    auto table = make_table(dtype);
    auto optimizer = rule.make(table->parameters(), options);
    table->attach(rows_of(*optimizer));
    const auto look_up = [&](const torch::Tensor& indices) { return table(indices); };
    torch::manual_seed(1);
    train(look_up, *optimizer, batches_of(0, 30));
    rows_of(*optimizer).flush();
    if (is_interrupted) {
      const auto old_table = table;
      const auto old_optimizer = optimizer;
      table = make_table(dtype);
      copy_weight(old_table->weight, table->weight);
      optimizer = rule.make(table->parameters(), options);
      copy_optimizer(*old_optimizer, *optimizer);
      table->attach(rows_of(*optimizer));
    }
    torch::manual_seed(2);
    train(look_up, *optimizer, batches_of(30, 60));
    rows_of(*optimizer).flush();
    weights[is_interrupted ? 1 : 0] = table->weight.detach();
  }
  EXPECT_TRUE(bit_equal(weights[1], weights[0]));
}

class Resuming : public ::testing::TestWithParam<Rule> {};

TEST_P(Resuming, GivesTheSameBits) {
  expect_resumes(GetParam(), torch::kFloat, {});
  expect_resumes(GetParam(), torch::kFloat, RowOptions().per_row_steps(true));
  expect_resumes(GetParam(), torch::kBFloat16, RowOptions().master_weights(true));
  expect_resumes(GetParam(), torch::kBFloat16,
                 RowOptions().stochastic_rounding(true).state_dtype(torch::kFloat));
  if (GetParam().has_dense_twin) {
    expect_resumes(GetParam(), torch::kFloat, dense_equivalent());
  }
}

INSTANTIATE_TEST_SUITE_P(AllRules, Resuming, ::testing::ValuesIn(all_rules()),
                         [](const auto& info) { return info.param.name; });

TEST(Archives, LoadIntoAnOptimizerThatHasTrained) {
  auto table = make_table();
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.02), dense_equivalent());
  table->attach(adam);
  const auto look_up = [&](const torch::Tensor& indices) { return table(indices); };
  train(look_up, adam, batches_of(0, 20));
  std::stringstream stream;
  torch::save(adam, stream);
  const auto at_20 = table->weight.detach().clone();
  train(look_up, adam, batches_of(20, 40));
  adam.flush();
  const auto at_40 = table->weight.detach().clone();

  train(look_up, adam, batches_of(20, 33));  // some rows are behind now
  torch::load(adam, stream);
  copy_weight(at_20, table->weight);
  train(look_up, adam, batches_of(20, 40));
  adam.flush();
  EXPECT_TRUE(bit_equal(table->weight, at_40));
}

TEST(Archives, KeepTheOptionsOfOurOwn) {
  auto parameter = torch::ones({2, 3}).requires_grad_();
  optim::LAMB saved(std::vector<torch::Tensor>{parameter},
                    optim::LAMBOptions(0.3).betas({0.1, 0.2}).eps(0.4).weight_decay(0.5));
  parameter.mutable_grad() = torch::ones({2, 3});
  saved.step();
  optim::LAMB loaded(std::vector<torch::Tensor>{parameter});
  copy_optimizer(saved, loaded);
  EXPECT_TRUE(static_cast<optim::LAMBOptions&>(loaded.param_groups()[0].options()) ==
              static_cast<optim::LAMBOptions&>(saved.param_groups()[0].options()));
  EXPECT_TRUE(static_cast<optim::LAMBParamState&>(*loaded.state().begin()->second) ==
              static_cast<optim::LAMBParamState&>(*saved.state().begin()->second));
}

}  // namespace
}  // namespace rowlane::testing
