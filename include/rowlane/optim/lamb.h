// rowlane::optim::LAMB: Adam whose step is scaled to each row's own norm.
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

struct ROWLANE_EXPORT LAMBOptions : public OwnOptions<LAMBOptions> {
  LAMBOptions(double lr = 1e-3);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-3;
  using betas_t = std::tuple<double, double>;  // NOLINT(readability-identifier-naming): as torch's
  TORCH_ARG(betas_t, betas) = std::make_tuple(0.9, 0.999);
  TORCH_ARG(double, eps) = 1e-6;
  TORCH_ARG(double, weight_decay) = 0;

 public:
  static auto fields() {
    return std::tuple(std::pair("lr", &LAMBOptions::lr_), std::pair("betas", &LAMBOptions::betas_),
                      std::pair("eps", &LAMBOptions::eps_),
                      std::pair("weight_decay", &LAMBOptions::weight_decay_));
  }
};

struct ROWLANE_EXPORT LAMBParamState : public OwnState<LAMBParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V, D]
  TORCH_ARG(at::Tensor, exp_avg);
  TORCH_ARG(at::Tensor, exp_avg_sq);

 public:
  static auto fields() {
    return std::tuple(std::pair("step", &LAMBParamState::step_),
                      std::pair("exp_avg", &LAMBParamState::exp_avg_),
                      std::pair("exp_avg_sq", &LAMBParamState::exp_avg_sq_));
  }
};

// r = Adam's step + weight_decay w; w -= lr |w| / |r| r, with the norms of the row; w -= lr r where
// one of them is zero. Source: You et al., "Large Batch Optimization for Deep Learning: Training
// BERT in 76 minutes", with a row of a table as a layer; FBGEMM's LAMB.
//
// Dense gradients are steps of all rows. A parameter with less than two dimensions is one row, as
// the paper has it; one with more has a row per entry of its first dimension.
// RowSemantics::kDenseEquivalent is an error.
class ROWLANE_EXPORT LAMB : public OwnOptimizer<LAMBOptions, LAMBParamState> {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit LAMB(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                const LAMBOptions& defaults = {}, const RowOptions& row_options = {});
  explicit LAMB(std::vector<at::Tensor> params, const LAMBOptions& defaults = {},
                const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
