// The gradients of the look-ups as rows whose columns are neighbours in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rowlane::ops {

struct GradRows {
  at::Tensor rows;
  std::int64_t stride;  // elements from row to row
};

// grad_output [*, dim] of any strides. Rows that are all the same one, as of a sum's gradient, stay
// one, with stride 0.
inline GradRows grad_rows(const at::Tensor& grad_output) {
  const std::int64_t last = grad_output.dim() - 1;
  bool is_one_row = grad_output.numel() > 0 && last > 0;
  for (std::int64_t d = 0; d < last; ++d) {
    is_one_row = is_one_row && (grad_output.stride(d) == 0 || grad_output.size(d) == 1);
  }
  if (!is_one_row) {
    return {grad_output.contiguous(), grad_output.size(last)};
  }
  return {grad_output.as_strided({grad_output.size(last)}, {grad_output.stride(last)}).contiguous(),
          0};
}

}  // namespace rowlane::ops
