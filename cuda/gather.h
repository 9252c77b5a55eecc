// Row gather: out[i] = table[indices[i]], as bytes.
#pragma once

#include <cstdint>

#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers. Any row size and alignment; the widest access that both allow
// is used.
struct GatherArgs {
  const void* table = nullptr;  // [num_rows] rows, table_stride_bytes apart
  std::int64_t num_rows = 0;
  std::int64_t row_bytes = 0;
  std::int64_t table_stride_bytes = 0;
  // Where the elements of a row don't lie next to each other, as in a transposed table: their size,
  // a power of two up to 16 that they are aligned to, and the bytes from one to the next. 0: they
  // do.
  std::int64_t elem_bytes = 0;
  std::int64_t elem_stride_bytes = 0;
  const void* indices = nullptr;  // [num_indices]
  IndexType index_type = IndexType::kInt64;
  std::int64_t num_indices = 0;
  void* out = nullptr;            // [num_indices, row_bytes]
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// One launch, asynchronous on `stream`. An index out of range reads nothing, gives a row of zero
// bytes, and is reported.
Status gather(const GatherArgs& args, Stream stream);

}  // namespace rowlane::kernels
