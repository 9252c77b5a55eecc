// Where the gradients that a backward sums are.
#pragma once

#include <cstdint>

namespace rowlane::kernels {

// What a GradSource (grad_source.cuh) is made from: position p of the index list has row p of
// grad_output.
struct GradSourceArgs {
  const void* grad_output = nullptr;  // device pointer, aligned to the element type
  std::int64_t row_stride = -1;       // elements from row to row; 0 where all are one; -1 for dim

  [[nodiscard]] constexpr std::int64_t stride(std::int64_t dim) const {
    return row_stride < 0 ? dim : row_stride;
  }
};

}  // namespace rowlane::kernels
