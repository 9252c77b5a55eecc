// rowlane::optim::RowWiseAdagrad: Adagrad with one number per row.
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

struct ROWLANE_EXPORT RowWiseAdagradOptions : public OwnOptions<RowWiseAdagradOptions> {
  RowWiseAdagradOptions(double lr = 1e-2);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-2;
  TORCH_ARG(double, weight_decay) = 0;
  TORCH_ARG(double, initial_accumulator_value) = 0;
  TORCH_ARG(double, eps) = 1e-8;

 public:
  static auto fields() {
    return std::tuple(
        std::pair("lr", &RowWiseAdagradOptions::lr_),
        std::pair("weight_decay", &RowWiseAdagradOptions::weight_decay_),
        std::pair("initial_accumulator_value", &RowWiseAdagradOptions::initial_accumulator_value_),
        std::pair("eps", &RowWiseAdagradOptions::eps_));
  }
};

struct ROWLANE_EXPORT RowWiseAdagradParamState : public OwnState<RowWiseAdagradParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V], float, or double for double.
  TORCH_ARG(at::Tensor, sum);

 public:
  static auto fields() {
    return std::tuple(std::pair("step", &RowWiseAdagradParamState::step_),
                      std::pair("sum", &RowWiseAdagradParamState::sum_));
  }
};

// sum += mean(g^2) over the row; w -= lr g / (sqrt(sum) + eps), where g has weight_decay w in it. A
// row of D elements keeps 4 bytes. FBGEMM's EXACT_ROWWISE_ADAGRAD (weight decay L2).
//
// Dense gradients are steps of all rows. A parameter that isn't 2-D has a row per entry of its
// first dimension. RowSemantics::kDenseEquivalent is an error.
class ROWLANE_EXPORT RowWiseAdagrad
    : public OwnOptimizer<RowWiseAdagradOptions, RowWiseAdagradParamState> {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit RowWiseAdagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                          const RowWiseAdagradOptions& defaults = {},
                          const RowOptions& row_options = {});
  explicit RowWiseAdagrad(std::vector<at::Tensor> params,
                          const RowWiseAdagradOptions& defaults = {},
                          const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
