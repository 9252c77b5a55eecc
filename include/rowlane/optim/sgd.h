// rowlane::optim::SGD: torch::optim::SGD that steps in rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/sgd.h>

#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

using torch::optim::SGDOptions;
using torch::optim::SGDParamState;

// With kLazy momentum and weight decay act on the rows of the gradient alone. The momentum buffer
// is a dense [V, D], also where torch's would be sparse.
class ROWLANE_EXPORT SGD : public WithRows<torch::optim::SGD> {
 public:
  // Throws c10::Error for options that torch refuses, and for row options that contradict.
  explicit SGD(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
               SGDOptions defaults, const RowOptions& row_options = {});
  explicit SGD(std::vector<at::Tensor> params, SGDOptions defaults,
               const RowOptions& row_options = {});
};

}  // namespace rowlane::optim
