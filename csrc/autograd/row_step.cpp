// Steps in place have no derivative; autograd only has to know what has changed.
#include "csrc/ops/row_step.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/library.h>

namespace rowlane {
namespace {

template <typename Op, typename Signature = Op::Signature>
struct InPlaceStep;
template <typename Op, typename... Args>
struct InPlaceStep<Op, void(const at::Tensor&, at::TensorList, Args...)> {
  static void autograd(const at::Tensor& weight, at::TensorList state, Args... args) {
    TORCH_CHECK(!torch::autograd::compute_requires_grad(weight), Op::kName,
                ": weight requires a gradient, which a step in place doesn't have; call it under "
                "torch::NoGradGuard");
    const at::AutoDispatchBelowAutograd below_autograd;
    ops::find_op<Op>().call(weight, state, args...);
  }

  // A backward pass that needs the tensors as they were before is to notice.
  static void in_place(const at::Tensor& weight, at::TensorList state, Args... args) {
    {
      const at::AutoDispatchBelowADInplaceOrView below_in_place;
      ops::find_op<Op>().call(weight, state, args...);
    }
    torch::autograd::impl::bump_version(weight);
    for (const at::Tensor& tensor : state) {
      torch::autograd::impl::bump_version(tensor);
    }
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Autograd, m) {
  m.impl("row_step_", &InPlaceStep<ops::RowStepOp>::autograd);
  m.impl("embedding_step_", &InPlaceStep<ops::EmbeddingStepOp>::autograd);
  m.impl("row_catch_up_", &InPlaceStep<ops::RowCatchUpOp>::autograd);
}
TORCH_LIBRARY_IMPL(rowlane, ADInplaceOrView, m) {
  m.impl("row_step_", &InPlaceStep<ops::RowStepOp>::in_place);
  m.impl("embedding_step_", &InPlaceStep<ops::EmbeddingStepOp>::in_place);
  m.impl("row_catch_up_", &InPlaceStep<ops::RowCatchUpOp>::in_place);
}

}  // namespace rowlane
