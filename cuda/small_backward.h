// Backward for few indices: the dense gradient in one launch.
#pragma once

#include <cstdint>

#include "grad_source.h"
#include "index_report.h"
#include "policy.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to their type.
struct SmallBackwardArgs {
  const void* indices = nullptr;  // [num_indices]
  IndexType index_type = IndexType::kInt64;
  GradSourceArgs source{};       // with its stride
  void* grad_table = nullptr;    // [num_rows, dim], overwritten
  std::int64_t num_indices = 0;  // at most kSmallMaxIndices
  std::int64_t num_rows = 0;     // fewer than 2^32 - 1
  std::int64_t dim = 0;
  std::int64_t padding_row = -1;  // its gradient is zero; -1 for none
  ElemType elem_type = ElemType::kFloat32;
  bool scale_by_count = false;    // divides a row's sum by its number of gradients
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// One launch, asynchronous on `stream`, no workspace. An index out of range adds to nothing and is
// reported; sums as in segment_reduce(). The policy is select_small_policy()'s.
Status small_backward(const SmallBackwardArgs& args, const SmallPolicy& policy, Stream stream);

}  // namespace rowlane::kernels
