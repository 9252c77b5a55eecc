// rowlane::optim::PartialRowWiseAdam: Adam with one second moment per row.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/own_optimizer.h"

namespace rowlane::optim {

struct ROWLANE_EXPORT PartialRowWiseAdamOptions : public OwnOptions<PartialRowWiseAdamOptions> {
  PartialRowWiseAdamOptions(double lr = 1e-3);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-3;
  using betas_t = std::tuple<double, double>;  // NOLINT(readability-identifier-naming): as torch's
  TORCH_ARG(betas_t, betas) = std::make_tuple(0.9, 0.999);
  TORCH_ARG(double, eps) = 1e-8;
  TORCH_ARG(double, weight_decay) = 0;

 public:
  static auto fields() {
    return std::tuple(std::pair("lr", &PartialRowWiseAdamOptions::lr_),
                      std::pair("betas", &PartialRowWiseAdamOptions::betas_),
                      std::pair("eps", &PartialRowWiseAdamOptions::eps_),
                      std::pair("weight_decay", &PartialRowWiseAdamOptions::weight_decay_));
  }
};

struct ROWLANE_EXPORT PartialRowWiseAdamParamState : public OwnState<PartialRowWiseAdamParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V, D]
  TORCH_ARG(at::Tensor, exp_avg);
  // [V], float, or double for double.
  TORCH_ARG(at::Tensor, exp_avg_sq);

 public:
  static auto fields() {
    return std::tuple(std::pair("step", &PartialRowWiseAdamParamState::step_),
                      std::pair("exp_avg", &PartialRowWiseAdamParamState::exp_avg_),
                      std::pair("exp_avg_sq", &PartialRowWiseAdamParamState::exp_avg_sq_));
  }
};

// v = beta2 v + (1 - beta2) mean(g^2) over the row; the rest is AdamW: weight decay is decoupled.
// FBGEMM's PARTIAL_ROWWISE_ADAM.
//
// Dense gradients are steps of all rows. A parameter that isn't 2-D has a row per entry of its
// first dimension. RowSemantics::kDenseEquivalent is an error.
class ROWLANE_EXPORT PartialRowWiseAdam
    : public OwnOptimizer<PartialRowWiseAdamOptions, PartialRowWiseAdamParamState> {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit PartialRowWiseAdam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                              const PartialRowWiseAdamOptions& defaults = {},
                              const RowOptions& row_options = {});
  explicit PartialRowWiseAdam(std::vector<at::Tensor> params,
                              const PartialRowWiseAdamOptions& defaults = {},
                              const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
