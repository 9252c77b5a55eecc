// rowlane::optim::Adam: torch::optim::Adam that steps in rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/adam.h>

#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

using torch::optim::AdamOptions;
using torch::optim::AdamParamState;

// torch's Adam refuses sparse gradients. AMSGrad included.
class ROWLANE_EXPORT Adam : public WithRows<torch::optim::Adam> {
 public:
  // Throws c10::Error for options that torch refuses, and for row options that contradict.
  explicit Adam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                AdamOptions defaults = {}, const RowOptions& row_options = {});
  explicit Adam(std::vector<at::Tensor> params, AdamOptions defaults = {},
                const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
