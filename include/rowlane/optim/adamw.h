// rowlane::optim::AdamW: torch::optim::AdamW that steps in rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/adamw.h>

#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

using torch::optim::AdamWOptions;
using torch::optim::AdamWParamState;

// torch's AdamW refuses sparse gradients. AMSGrad included.
class ROWLANE_EXPORT AdamW : public WithRows<torch::optim::AdamW> {
 public:
  // Throws c10::Error for options that torch refuses, and for row options that contradict.
  explicit AdamW(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                 AdamWOptions defaults = {}, const RowOptions& row_options = {});
  explicit AdamW(std::vector<at::Tensor> params, AdamWOptions defaults = {},
                 const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
