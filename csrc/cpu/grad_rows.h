// The gradients of the look-ups, as rows in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/loops/step_loops.h"
#include "csrc/ops/grad_rows.h"

namespace rowlane::cpu {

struct GradRows {
  at::Tensor owner;
  LookUpGrads look_ups;
  std::int64_t dim;
  at::ScalarType dtype;

  [[nodiscard]] std::int64_t row_bytes() const {
    return dim * static_cast<std::int64_t>(c10::elementSize(dtype));
  }
};

// grad_output [*, dim] of any strides.
inline GradRows grad_rows(const at::Tensor& grad_output) {
  auto [rows, stride, repeats] = ops::grad_rows(grad_output, /*keeps_repeats=*/true);
  const void* const data = rows.const_data_ptr();
  return {.owner = std::move(rows),
          .look_ups = {.data = data, .stride = stride, .repeats = repeats},
          .dim = grad_output.size(-1),
          .dtype = grad_output.scalar_type()};
}

// Bytes of a number in which rows of this dtype are summed.
inline std::int64_t accum_bytes(at::ScalarType dtype) { return dtype == at::kDouble ? 8 : 4; }

// The loops for the dtype, which has been checked.
inline const ElemLoops& elem_loops(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return row_loops().float_loops;
    case at::kDouble:
      return row_loops().double_loops;
    case at::kHalf:
      return row_loops().half_loops;
    case at::kBFloat16:
      return row_loops().bfloat16_loops;
    default:
      TORCH_INTERNAL_ASSERT(false, "no loops for ", dtype);
  }
}

inline const ElemStepLoops& elem_step_loops(at::ScalarType dtype) {
  const StepLoops& loops = *row_loops().steps;
  switch (dtype) {
    case at::kFloat:
      return loops.float_loops;
    case at::kDouble:
      return loops.double_loops;
    case at::kHalf:
      return loops.half_loops;
    case at::kBFloat16:
      return loops.bfloat16_loops;
    default:
      TORCH_INTERNAL_ASSERT(false, "no loops for ", dtype);
  }
}

}  // namespace rowlane::cpu
