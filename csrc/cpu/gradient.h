// Gradients of a table: for each row, the sum of the gradients of its look-ups.
//
// A sum's order depends on the problem alone, so it has the same bits for any number of threads;
// 16-bit types are summed in float.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace rowlane::cpu {

struct GradientOptions {
  std::int64_t padding_row = -1;  // gets no gradient; -1 for none
  // The sum of each row is divided by how often the row is looked up, before it is rounded.
  bool scales_by_count = false;
};

// grad_output [*, dim] of any strides, indices [*] of any strides; both have been checked but for
// the values of the indices -> [num_rows, dim]. Throws c10::IndexError, which begins with `op`,
// where an index is out of range.
at::Tensor dense_gradient(std::string_view op, const at::Tensor& grad_output,
                          const at::Tensor& indices, std::int64_t num_rows,
                          const GradientOptions& options);

}  // namespace rowlane::cpu
