// Checks without data: what torch.compile, export and meta tensors run.
#include "csrc/ops/row_step.h"

#include <torch/library.h>

namespace rowlane {
namespace {

// The call has been checked when it was made.
template <typename Call>
void do_nothing(const Call& /*call*/) {}

template <typename Call>
constexpr auto kCheck = &ops::StepKernel<Call, &do_nothing<Call>>::run;

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Meta, m) {
  m.impl("row_step_", kCheck<ops::RowStepCall>);
  m.impl("embedding_step_", kCheck<ops::EmbeddingStepCall>);
  m.impl("row_catch_up_", kCheck<ops::RowCatchUpCall>);
}

}  // namespace rowlane
