// rowlane::optim::Adagrad: torch::optim::Adagrad that steps in rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/adagrad.h>

#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

using torch::optim::AdagradOptions;
using torch::optim::AdagradParamState;

// Without weight decay kLazy and kDenseEquivalent are the same, and equal torch's in both layouts
// of the gradient. With it kLazy, which torch refuses, decays the rows of the gradient alone.
class ROWLANE_EXPORT Adagrad : public WithRows<torch::optim::Adagrad> {
 public:
  // Throws c10::Error for options that torch refuses, and for row options that contradict.
  explicit Adagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                   AdagradOptions defaults = {}, const RowOptions& row_options = {});
  explicit Adagrad(std::vector<at::Tensor> params, AdagradOptions defaults = {},
                   const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
