// Segment reduce: sums the gradient rows of each run of equal, sorted row numbers.
#pragma once

#include <cstdint>

#include "grad_source.h"
#include "policy.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to their type.
struct SegmentReduceArgs {
  const void* keys = nullptr;       // [num_indices], ascending; keys >= num_rows are skipped
  const void* positions = nullptr;  // [num_indices]
  bool wide_pairs = false;          // keys and positions are 64 bits wide instead of 32
  GradSourceArgs source{};          // with its stride
  RowTarget target = RowTarget::kDense;
  void* rows_out = nullptr;  // kDense, kAdd: [num_rows, dim]; kCompact: [min(both nums), dim]
  std::int64_t* row_numbers = nullptr;  // kCompact: [min(num_indices, num_rows)], ascending
  std::int64_t* num_slots = nullptr;    // kCompact: [1], how many of them there are
  void* workspace = nullptr;            // segment_workspace_bytes(), 256-byte aligned: scratch
  std::int64_t num_indices = 0;
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  ElemType elem_type = ElemType::kFloat32;
  bool scale_by_count = false;  // divides a row's sum by its number of gradients
};

// What the segment reduce needs besides the sorted pairs: per block two unfinished sums of dim
// values, 32 bytes about the runs that cross its edges, and 4 bytes for kCompact.
std::int64_t segment_workspace_bytes(const SegmentPolicy& policy, std::int64_t dim, ElemType type);

// One launch, one more if there is more than one block, and one more for kCompact; asynchronous on
// `stream`. Each row is the sum, in double for double and in float for everything else, of its
// gradient rows in order of position, in pieces whose bounds depend on the keys and the policy
// alone. The policy is select_segment_policy()'s.
Status segment_reduce(const SegmentReduceArgs& args, const SegmentPolicy& policy, Stream stream);

}  // namespace rowlane::kernels
