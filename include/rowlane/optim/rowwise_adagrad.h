// rowlane::optim::RowWiseAdagrad: Adagrad with one number per row.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/serialize.h>

#include <cstdint>
#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

struct ROWLANE_EXPORT RowWiseAdagradOptions
    : public torch::optim::OptimizerCloneableOptions<RowWiseAdagradOptions> {
  RowWiseAdagradOptions(double lr = 1e-2);  // NOLINT(google-explicit-constructor): as torch's
  TORCH_ARG(double, lr) = 1e-2;
  TORCH_ARG(double, weight_decay) = 0;
  TORCH_ARG(double, initial_accumulator_value) = 0;
  TORCH_ARG(double, eps) = 1e-8;

 public:
  void serialize(torch::serialize::InputArchive& archive) override;
  void serialize(torch::serialize::OutputArchive& archive) const override;
  ROWLANE_EXPORT friend bool operator==(const RowWiseAdagradOptions& lhs,
                                        const RowWiseAdagradOptions& rhs);
  double get_lr() const override;
  void set_lr(double lr) override;
};

struct ROWLANE_EXPORT RowWiseAdagradParamState
    : public torch::optim::OptimizerCloneableParamState<RowWiseAdagradParamState> {
  TORCH_ARG(std::int64_t, step) = 0;
  // [V], float, or double for double.
  TORCH_ARG(at::Tensor, sum);

 public:
  void serialize(torch::serialize::InputArchive& archive) override;
  void serialize(torch::serialize::OutputArchive& archive) const override;
  ROWLANE_EXPORT friend bool operator==(const RowWiseAdagradParamState& lhs,
                                        const RowWiseAdagradParamState& rhs);
};

// sum += mean(g^2) over the row; w -= lr g / (sqrt(sum) + eps), where g has weight_decay w in it. A
// row of D elements keeps 4 bytes. FBGEMM's EXACT_ROWWISE_ADAGRAD (weight decay L2).
//
// Dense gradients are steps of all rows. A parameter that isn't 2-D has a row per entry of its
// first dimension. RowSemantics::kDenseEquivalent is an error.
class ROWLANE_EXPORT RowWiseAdagrad : public torch::optim::Optimizer, public RowOptimizer {
 public:
  // Throws c10::Error for options out of range, and for row options that contradict.
  explicit RowWiseAdagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                          const RowWiseAdagradOptions& defaults = {},
                          const RowOptions& row_options = {});
  explicit RowWiseAdagrad(std::vector<at::Tensor> params,
                          const RowWiseAdagradOptions& defaults = {},
                          const RowOptions& row_options = {});

  at::Tensor step(LossClosure closure = nullptr) override;
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;
};

}  // namespace rowlane::optim
