// rowlane::optim::PartialRowWiseAdam: Adam with one second moment per row.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/serialize.h>

#include <cstdint>
#include <tuple>
#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

struct ROWLANE_EXPORT PartialRowWiseAdamOptions
    : public torch::optim::OptimizerCloneableOptions<PartialRowWiseAdamOptions> {
  PartialRowWiseAdamOptions(double lr = 1e-3);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-3;
  using betas_t = std::tuple<double, double>;  // NOLINT(readability-identifier-naming): as torch's
  TORCH_ARG(betas_t, betas) = std::make_tuple(0.9, 0.999);
  TORCH_ARG(double, eps) = 1e-8;
  TORCH_ARG(double, weight_decay) = 0;

 public:
  void serialize(torch::serialize::InputArchive& archive) override;
  void serialize(torch::serialize::OutputArchive& archive) const override;
  ROWLANE_EXPORT friend bool operator==(const PartialRowWiseAdamOptions& lhs,
                                        const PartialRowWiseAdamOptions& rhs);
  double get_lr() const override;
  void set_lr(double lr) override;
};

struct ROWLANE_EXPORT PartialRowWiseAdamParamState
    : public torch::optim::OptimizerCloneableParamState<PartialRowWiseAdamParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V, D]
  TORCH_ARG(at::Tensor, exp_avg);
  // [V], float, or double for double.
  TORCH_ARG(at::Tensor, exp_avg_sq);

 public:
  void serialize(torch::serialize::InputArchive& archive) override;
  void serialize(torch::serialize::OutputArchive& archive) const override;
  ROWLANE_EXPORT friend bool operator==(const PartialRowWiseAdamParamState& lhs,
                                        const PartialRowWiseAdamParamState& rhs);
};

// v = beta2 v + (1 - beta2) mean(g^2) over the row; the rest is AdamW: weight decay is decoupled.
// FBGEMM's PARTIAL_ROWWISE_ADAM.
//
// Dense gradients are steps of all rows. A parameter that isn't 2-D has a row per entry of its
// first dimension. RowSemantics::kDenseEquivalent is an error.
class ROWLANE_EXPORT PartialRowWiseAdam : public torch::optim::Optimizer, public RowOptimizer {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit PartialRowWiseAdam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                              const PartialRowWiseAdamOptions& defaults = {},
                              const RowOptions& row_options = {});
  explicit PartialRowWiseAdam(std::vector<at::Tensor> params,
                              const PartialRowWiseAdamOptions& defaults = {},
                              const RowOptions& row_options = {});

  at::Tensor step(LossClosure closure = nullptr) override;
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;
};

}  // namespace rowlane::optim
