// Scaling rows in place has no derivative; autograd only has to know that the table has changed.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/library.h>

#include "csrc/ops/embedding.h"

namespace rowlane {
namespace {

constexpr const char* kOp = "rowlane::embedding_renorm_";

void embedding_renorm_autograd(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                               double norm_type) {
  TORCH_CHECK(!torch::autograd::compute_requires_grad(weight), kOp,
              ": weight requires a gradient, which scaling in place doesn't have; call it under "
              "torch::NoGradGuard, on weight.detach()");
  TORCH_CHECK_NOT_IMPLEMENTED(!weight._fw_grad(/*level=*/0).defined(), kOp,
                              ": weight has a tangent, which scaling in place doesn't have; call "
                              "it on weight.detach()");
  const at::AutoDispatchBelowAutograd below_autograd;
  ops::embedding_renorm(weight, indices, max_norm, norm_type);
}

// A backward pass that needs the table as it was before is to notice.
void embedding_renorm_in_place(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                               double norm_type) {
  {
    const at::AutoDispatchBelowADInplaceOrView below_in_place;
    ops::embedding_renorm(weight, indices, max_norm, norm_type);
  }
  torch::autograd::impl::bump_version(weight);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Autograd, m) {
  m.impl("embedding_renorm_", &embedding_renorm_autograd);
}
TORCH_LIBRARY_IMPL(rowlane, ADInplaceOrView, m) {
  m.impl("embedding_renorm_", &embedding_renorm_in_place);
}

}  // namespace rowlane
