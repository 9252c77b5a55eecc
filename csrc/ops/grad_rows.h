// The gradients of the look-ups as rows whose columns are neighbours in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rowlane::ops {

struct GradRows {
  at::Tensor rows;
  std::int64_t stride;   // elements from row to row; 0 when all are one
  std::int64_t repeats;  // neighbours that share a row
};

// grad_output [*, dim] of any strides. Rows that are all the same one, as of a sum's gradient, stay
// one. With keeps_repeats so do those of neighbours, as of the gradient of sums over them.
inline GradRows grad_rows(const at::Tensor& grad_output, bool keeps_repeats) {
  const std::int64_t dim = grad_output.size(-1);
  at::Tensor rows = grad_output;
  std::int64_t repeats = 1;
  while (rows.numel() > 0 && rows.dim() > 1 && (rows.stride(-2) == 0 || rows.size(-2) == 1)) {
    repeats *= rows.size(-2);
    rows = rows.select(-2, 0);
  }
  if (rows.numel() == dim) {
    return {rows.contiguous(), 0, 1};
  }
  return keeps_repeats ? GradRows{rows.contiguous(), dim, repeats}
                       : GradRows{grad_output.contiguous(), dim, 1};
}

}  // namespace rowlane::ops
