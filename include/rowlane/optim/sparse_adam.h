// rowlane::optim::SparseAdam: torch.optim.SparseAdam, which LibTorch doesn't have.
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

struct ROWLANE_EXPORT SparseAdamOptions : public OwnOptions<SparseAdamOptions> {
  SparseAdamOptions(double lr = 1e-3);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-3;
  using betas_t = std::tuple<double, double>;  // NOLINT(readability-identifier-naming): as torch's
  TORCH_ARG(betas_t, betas) = std::make_tuple(0.9, 0.999);
  TORCH_ARG(double, eps) = 1e-8;

 public:
  static auto fields() {
    return std::tuple(std::pair("lr", &SparseAdamOptions::lr_),
                      std::pair("betas", &SparseAdamOptions::betas_),
                      std::pair("eps", &SparseAdamOptions::eps_));
  }
};

struct ROWLANE_EXPORT SparseAdamParamState : public OwnState<SparseAdamParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V, D]
  TORCH_ARG(at::Tensor, exp_avg);
  TORCH_ARG(at::Tensor, exp_avg_sq);

 public:
  static auto fields() {
    return std::tuple(std::pair("step", &SparseAdamParamState::step_),
                      std::pair("exp_avg", &SparseAdamParamState::exp_avg_),
                      std::pair("exp_avg_sq", &SparseAdamParamState::exp_avg_sq_));
  }
};

// Adam on the rows of the gradient alone, with eps added before the bias is corrected: the numbers
// and states of torch.optim.SparseAdam, which isn't Adam's in the last respect. Dense gradients are
// an error, as in torch; RowSemantics::kDenseEquivalent is one, too, for there is no such dense
// optimizer.
class ROWLANE_EXPORT SparseAdam : public OwnOptimizer<SparseAdamOptions, SparseAdamParamState> {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit SparseAdam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                      const SparseAdamOptions& defaults = {}, const RowOptions& row_options = {});
  explicit SparseAdam(std::vector<at::Tensor> params, const SparseAdamOptions& defaults = {},
                      const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
