// Steps in place have no derivative; autograd only has to know what has changed.
#include "csrc/ops/row_step.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/library.h>

namespace rowlane {
namespace {

// An op, as it is called below autograd, by its name and its arguments behind the table's.
template <const char* kOp, typename... Args>
struct InPlaceStep {
  using Op = void(const at::Tensor&, at::TensorList, Args...);

  static void call(const at::Tensor& weight, at::TensorList state, Args... args) {
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow(kOp, "").template typed<Op>();
    op.call(weight, state, args...);
  }

  static void autograd(const at::Tensor& weight, at::TensorList state, Args... args) {
    TORCH_CHECK(!torch::autograd::compute_requires_grad(weight), kOp,
                ": weight requires a gradient, which a step in place doesn't have; call it under "
                "torch::NoGradGuard");
    const at::AutoDispatchBelowAutograd below_autograd;
    call(weight, state, args...);
  }

  // A backward pass that needs the tensors as they were before is to notice.
  static void in_place(const at::Tensor& weight, at::TensorList state, Args... args) {
    {
      const at::AutoDispatchBelowADInplaceOrView below_in_place;
      call(weight, state, args...);
    }
    torch::autograd::impl::bump_version(weight);
    for (const at::Tensor& tensor : state) {
      torch::autograd::impl::bump_version(tensor);
    }
  }
};

constexpr char kRowStep[] = "rowlane::row_step_";
constexpr char kEmbeddingStep[] = "rowlane::embedding_step_";
constexpr char kRowCatchUp[] = "rowlane::row_catch_up_";

using OptionalTensor = const std::optional<at::Tensor>&;
using OptionalInt = std::optional<std::int64_t>;

// What the schemas in csrc/library.cpp say.
using RowStep =
    InPlaceStep<kRowStep, OptionalTensor, bool, OptionalTensor, OptionalInt, const at::Tensor&,
                const at::Tensor&, std::string_view, at::ArrayRef<double>>;
using EmbeddingStep = InPlaceStep<kEmbeddingStep, OptionalTensor, bool, OptionalTensor, OptionalInt,
                                  const at::Tensor&, const at::Tensor&, std::string_view,
                                  at::ArrayRef<double>, OptionalInt, bool>;
using RowCatchUp = InPlaceStep<kRowCatchUp, const at::Tensor&, OptionalTensor, OptionalInt,
                               OptionalTensor, std::string_view, const at::Tensor&, std::int64_t>;

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Autograd, m) {
  m.impl("row_step_", &RowStep::autograd);
  m.impl("embedding_step_", &EmbeddingStep::autograd);
  m.impl("row_catch_up_", &RowCatchUp::autograd);
}
TORCH_LIBRARY_IMPL(rowlane, ADInplaceOrView, m) {
  m.impl("row_step_", &RowStep::in_place);
  m.impl("embedding_step_", &EmbeddingStep::in_place);
  m.impl("row_catch_up_", &RowCatchUp::in_place);
}

}  // namespace rowlane
