// Where a row of a table lies, for every kernel that reads or writes rows by their number.
#pragma once

#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// In elements from a table's first one; the same for all that is laid out like the table.
ROWLANE_DEVICE std::int64_t row_offset(std::int64_t row, std::int64_t row_stride) {
  return row * row_stride;
}

template <typename T>
ROWLANE_DEVICE T* row_address(T* table, std::int64_t row, std::int64_t row_stride) {
  return table + row_offset(row, row_stride);
}

}  // namespace rowlane::kernels
