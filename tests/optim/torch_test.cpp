// The same training by torch's own optimizers: same loss curves, same tables.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <memory>
#include <string>
#include <tuple>

#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/adamw.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;

constexpr double kTolerance = 1e-6;

template <typename TableT>
LookUpFunction reads(TableT& table) {
  return [&table](const torch::Tensor& indices) { return table(indices); };
}

// ---------------------------------------------------------------------------------------------
// kLazy, where torch has sparse gradients

template <typename Theirs, typename Mine, typename OptionsT>
void expect_equal_sparse(const OptionsT& options) {
  const auto batches = make_batches();
  auto their_table = make_torch_table(/*is_sparse=*/true);
  Theirs theirs(their_table->parameters(), options);
  const auto their_losses = train(reads(their_table), theirs, batches);
  for (const bool row_gradient : {true, false}) {
    SCOPED_TRACE(row_gradient ? "row gradient" : "uncoalesced gradient");
    auto table = make_table(torch::kFloat, row_gradient);
    table->options.sparse(!row_gradient);
    Mine mine(table->parameters(), options);
    const auto losses = train(reads(table), mine, batches);
    EXPECT_TRUE(near(table->weight, their_table->weight, kTolerance));
    EXPECT_TRUE(near(losses, their_losses, kTolerance));
    EXPECT_LT(losses[191], losses[1] / 2);
  }
}

TEST(LikeTorch, SparseSGD) {
  expect_equal_sparse<torch::optim::SGD, optim::SGD>(torch::optim::SGDOptions(0.1));
}

TEST(LikeTorch, SparseAdagrad) {
  expect_equal_sparse<torch::optim::Adagrad, optim::Adagrad>(
      torch::optim::AdagradOptions(0.2).lr_decay(0.01).initial_accumulator_value(0.01));
}

// torch/optim/_functional.py, sparse_adam, in torch's operations.
class TorchSparseAdam : public torch::optim::Optimizer {
 public:
  TorchSparseAdam(const std::vector<torch::Tensor>& parameters, double lr, double beta1,
                  double beta2, double eps)
      : Optimizer({torch::optim::OptimizerParamGroup(parameters)},
                  std::make_unique<torch::optim::SGDOptions>(lr)),
        lr_(lr),
        beta1_(beta1),
        beta2_(beta2),
        eps_(eps),
        exp_avg_(torch::zeros_like(parameters[0])),
        exp_avg_sq_(torch::zeros_like(parameters[0])) {}

  torch::Tensor step(LossClosure /*closure*/) override {
    const torch::NoGradGuard no_grad;
    const auto& param = param_groups()[0].params()[0];
    ++step_;
    const auto grad = param.grad().coalesce();
    const auto rows = grad.indices()[0];
    const auto values = grad.values();
    const auto make_sparse = [&](const torch::Tensor& new_values) {
      return torch::sparse_coo_tensor(grad.indices(), new_values, grad.sizes());
    };
    const auto old_exp_avg = exp_avg_.index_select(0, rows);
    const auto exp_avg_update = values.sub(old_exp_avg).mul_(1 - beta1_);
    exp_avg_.add_(make_sparse(exp_avg_update));
    const auto old_exp_avg_sq = exp_avg_sq_.index_select(0, rows);
    const auto exp_avg_sq_update = values.pow(2).sub_(old_exp_avg_sq).mul_(1 - beta2_);
    exp_avg_sq_.add_(make_sparse(exp_avg_sq_update));
    const auto numer = exp_avg_update + old_exp_avg;
    const auto denom = (exp_avg_sq_update + old_exp_avg_sq).sqrt_().add_(eps_);
    const double step_size =
        lr_ * std::sqrt(1 - std::pow(beta2_, step_)) / (1 - std::pow(beta1_, step_));
    param.detach().add_(make_sparse(-step_size * numer.div(denom)));
    return {};
  }

 private:
  double lr_;
  double beta1_;
  double beta2_;
  double eps_;
  int step_ = 0;
  torch::Tensor exp_avg_;
  torch::Tensor exp_avg_sq_;
};

TEST(LikeTorch, SparseAdam) {
  const auto batches = make_batches();
  // An eps this large tells where it is added.
  for (const double eps : {1e-8, 1e-2}) {
    SCOPED_TRACE(eps);
    auto their_table = make_torch_table(/*is_sparse=*/true);
    TorchSparseAdam theirs(their_table->parameters(), 0.02, 0.8, 0.99, eps);
    const auto their_losses = train(reads(their_table), theirs, batches);
    auto table = make_table();
    optim::SparseAdam mine(table->parameters(),
                           optim::SparseAdamOptions(0.02).betas({0.8, 0.99}).eps(eps));
    const auto losses = train(reads(table), mine, batches);
    EXPECT_TRUE(near(table->weight, their_table->weight, kTolerance));
    EXPECT_TRUE(near(losses, their_losses, kTolerance));
  }
}

// ---------------------------------------------------------------------------------------------
// kDenseEquivalent

template <typename Theirs, typename Mine, typename OptionsT>
void expect_equal_dense(const OptionsT& options) {
  const auto batches = make_batches();
  auto their_table = make_torch_table(/*is_sparse=*/false);
  Theirs theirs(their_table->parameters(), options);
  torch::optim::StepLR their_schedule(theirs, /*step_size=*/30, /*gamma=*/0.8);
  const auto their_losses =
      train(reads(their_table), theirs, batches, [&](int /*step*/) { their_schedule.step(); });
  for (const bool is_fused : {false, true}) {
    SCOPED_TRACE(is_fused ? "fused" : "unfused");
    auto table = make_table();
    Mine mine(table->parameters(), options, RowOptions().semantics(RowSemantics::kDenseEquivalent));
    torch::optim::StepLR schedule(mine, 30, 0.8);
    is_fused ? table->fuse(mine) : table->attach(mine);
    const auto losses = train(reads(table), mine, batches, [&](int step) {
      schedule.step();
      if (step == 57) {
        mine.flush();
      }
    });
    EXPECT_TRUE(near(losses, their_losses, kTolerance));
    mine.flush();
    EXPECT_TRUE(near(table->weight, their_table->weight, kTolerance));
    EXPECT_LT(losses[191], losses[1] / 2);
  }
}

TEST(LikeTorchsDense, SGDWithMomentum) {
  expect_equal_dense<torch::optim::SGD, optim::SGD>(torch::optim::SGDOptions(0.02).momentum(0.9));
}

TEST(LikeTorchsDense, SGDWithNesterovMomentum) {
  expect_equal_dense<torch::optim::SGD, optim::SGD>(
      torch::optim::SGDOptions(0.02).momentum(0.9).nesterov(true));
}

TEST(LikeTorchsDense, SGDWithDampeningAndWeightDecay) {
  expect_equal_dense<torch::optim::SGD, optim::SGD>(
      torch::optim::SGDOptions(0.1).momentum(0.7).dampening(0.5).weight_decay(0.02));
}

TEST(LikeTorchsDense, SGDWithWeightDecayAlone) {
  expect_equal_dense<torch::optim::SGD, optim::SGD>(
      torch::optim::SGDOptions(0.1).weight_decay(0.05));
}

TEST(LikeTorchsDense, SGDAlone) {
  expect_equal_dense<torch::optim::SGD, optim::SGD>(torch::optim::SGDOptions(0.1));
}

TEST(LikeTorchsDense, Adagrad) {
  expect_equal_dense<torch::optim::Adagrad, optim::Adagrad>(
      torch::optim::AdagradOptions(0.3).lr_decay(0.01));
}

TEST(LikeTorchsDense, AdagradWithWeightDecay) {
  expect_equal_dense<torch::optim::Adagrad, optim::Adagrad>(
      torch::optim::AdagradOptions(0.3).weight_decay(0.02).initial_accumulator_value(0.1));
}

TEST(LikeTorchsDense, Adam) {
  expect_equal_dense<torch::optim::Adam, optim::Adam>(torch::optim::AdamOptions(0.03));
}

TEST(LikeTorchsDense, AdamWithWeightDecay) {
  expect_equal_dense<torch::optim::Adam, optim::Adam>(
      torch::optim::AdamOptions(0.03).weight_decay(0.01).betas({0.8, 0.99}));
}

TEST(LikeTorchsDense, AMSGrad) {
  expect_equal_dense<torch::optim::Adam, optim::Adam>(
      torch::optim::AdamOptions(0.03).amsgrad(true));
}

TEST(LikeTorchsDense, AdamW) {
  expect_equal_dense<torch::optim::AdamW, optim::AdamW>(
      torch::optim::AdamWOptions(0.03).weight_decay(0.1));
}

TEST(LikeTorchsDense, AdamWWithAMSGrad) {
  expect_equal_dense<torch::optim::AdamW, optim::AdamW>(
      torch::optim::AdamWOptions(0.03).weight_decay(0.1).amsgrad(true));
}

}  // namespace
}  // namespace rowlane::testing
