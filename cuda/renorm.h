// Renorm: scales the rows of a table that are looked up to at most a norm, in place.
#pragma once

#include <cstdint>

#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to their type.
struct RenormArgs {
  void* table = nullptr;  // [num_rows] rows of dim elements, row_stride elements apart
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 1;  // elements from one of a row to the next
  ElemType elem_type = ElemType::kFloat32;
  const void* indices = nullptr;  // [num_indices]
  IndexType index_type = IndexType::kInt64;
  std::int64_t num_indices = 0;
  double max_norm = 0;
  double norm_type = 2;           // the p of the norm: greater than 0, infinity included
  void* workspace = nullptr;      // renorm_workspace_bytes(), 256-byte aligned
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// The sorted pairs: 8 bytes per index, a copy of them unless one launch sorts, and the sort's own
// counters.
Status renorm_workspace_bytes(std::int64_t num_rows, std::int64_t num_indices, std::int64_t* bytes);

// The sort's launches and one more, asynchronous on `stream`. A row in indices whose norm is larger
// than max_norm is multiplied by max_norm / (norm + 1e-7), once however often it is there; norms
// are computed in double for double and in float for everything else. An index out of range does
// nothing and is reported. Deterministic.
Status renorm(const RenormArgs& args, Stream stream);

}  // namespace rowlane::kernels
