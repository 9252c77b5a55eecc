#include "csrc/optim/look_up.h"

#include <ATen/core/grad_mode.h>

#include "csrc/autograd/fused_embedding.h"
#include "csrc/autograd/gradient_hooks.h"
#include "csrc/ops/embedding.h"
#include "csrc/optim/row_optimizer_impl.h"

namespace rowlane::optim::detail {
namespace {

constexpr const char* kName = "rowlane::nn::Embedding";

at::Tensor fused_look_up(const std::shared_ptr<RowTable>& table, const at::Tensor& indices,
                         const ops::LookUp& look_up) {
  std::optional<std::int64_t> padding_idx;
  if (look_up.padding_idx.has_value()) {
    padding_idx = look_up.padding_idx->expect_int();
  }
  return autograd::fused_embedding(
      table->weight(), indices, look_up,
      [table, padding_idx, scale_grad_by_freq = look_up.scale_grad_by_freq,
       step_of_forward = table->num_steps()](const at::Tensor& grad_output,
                                             const at::Tensor& looked_up) {
        table->check_may_step_fused();
        table->owner()->take_gradient(table, {.grad_output = grad_output,
                                              .indices = looked_up,
                                              .padding_idx = padding_idx,
                                              .scale_grad_by_freq = scale_grad_by_freq,
                                              .step_of_forward = step_of_forward});
      });
}

}  // namespace

at::Tensor look_up(const std::shared_ptr<RowTable>& table, const at::Tensor& indices,
                   const EmbeddingFuncOptions& options, bool is_fused) {
  const at::Tensor& weight = table->weight();
  is_fused = is_fused && at::GradMode::is_enabled() && weight.requires_grad();
  if (is_fused) {
    table->check_has_owner();
    TORCH_CHECK(!autograd::has_hooks(weight), kName,
                ": a fused table must have no hooks, which would see no gradient; unfuse() it");
    TORCH_CHECK(!autograd::has_accumulation_hooks(weight), kName,
                ": a fused table has no gradient that DistributedDataParallel could sum over the "
                "processes, so each would train its own table; unfuse() it, and with row_gradient "
                "or sparse the rows alone are exchanged");
  }
  table->catch_up(indices);
  const ops::LookUp prepared = ops::prepare_look_up(weight, indices, options);
  if (options.max_norm().has_value()) {
    table->accept_changes();
  }
  return is_fused ? fused_look_up(table, indices, prepared)
                  : ops::embedding(weight, indices, prepared);
}

void check_fuse(const RowTable& table, const EmbeddingFuncOptions& options) {
  constexpr const char* kFuse = "rowlane::nn::Embedding::fuse";
  TORCH_CHECK_VALUE(options.algorithm() == BackwardAlgorithm::kAuto ||
                        options.algorithm() == BackwardAlgorithm::kSorted,
                    kFuse, ": algorithm must be auto or sorted, got ",
                    to_string(options.algorithm()));
  TORCH_CHECK_VALUE(!options.max_norm().has_value() || !table.options().master_weights(), kFuse,
                    ": max_norm must not be given with master_weights, which don't follow rows "
                    "that are scaled");
  TORCH_CHECK_VALUE(!options.sparse() || !options.scale_grad_by_freq(), kFuse,
                    ": sparse and scale_grad_by_freq contradict each other, fused or not");
}

}  // namespace rowlane::optim::detail
