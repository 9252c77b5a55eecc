// Segment reduce: sums the gradient rows of each run of equal, sorted row numbers.
#pragma once

#include <cstdint>

#include "simt/stream.h"
#include "status.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to their type.
struct SegmentReduceArgs {
  const void* keys = nullptr;         // [num_indices], ascending; keys >= num_rows are skipped
  const void* positions = nullptr;    // [num_indices]
  bool wide_pairs = false;            // keys and positions are 64 bits wide instead of 32
  const void* grad_output = nullptr;  // [num_indices, dim]
  void* grad_table = nullptr;         // [num_rows, dim]; rows without a key are not written
  void* partials = nullptr;           // segment_partials_bytes(): scratch
  std::int64_t num_indices = 0;
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  ElemType elem_type = ElemType::kFloat32;
};

// Two unfinished sums per tile of kSegmentTile sorted positions: for the run that came in from the
// tile before and for the one that goes on into the tile after.
std::int64_t segment_partials_bytes(std::int64_t num_indices, std::int64_t dim, ElemType type);

// Two launches, asynchronous on `stream`. Each row is the sum, in double for double and in float
// for everything else, of its gradient rows in order of position, tile by tile, so the result does
// not depend on scheduling.
Status segment_reduce(const SegmentReduceArgs& args, Stream stream);

}  // namespace rowlane::kernels
