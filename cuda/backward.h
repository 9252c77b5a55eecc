// Backward of the row gather: the dense gradient of the table, by one of two algorithms.
#pragma once

#include <cstdint>

#include "simt/stream.h"
#include "sort_pairs.h"
#include "status.h"
#include "types.h"

namespace rowlane::kernels {

struct BackwardProblem {
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::int64_t num_indices = 0;
  std::int64_t padding_row = -1;  // its gradient is zero; -1 for none
  ElemType elem_type = ElemType::kFloat32;
  IndexType index_type = IndexType::kInt64;
};

// What the caller asks for.
enum class BackwardRequest : std::uint8_t { kAuto, kAtomic, kSorted };

// What is done.
enum class BackwardAlgorithm : std::uint8_t {
  kAtomic,  // zero fill, then atomic additions; float32 and float64
  kSorted,  // sort by row, then segment reduce; deterministic
};

struct BackwardPolicy {
  BackwardAlgorithm algorithm = BackwardAlgorithm::kSorted;
  PairFormat pairs;  // of kSorted

  friend bool operator==(const BackwardPolicy&, const BackwardPolicy&) = default;
};

// A pure function of the problem; kAuto is always deterministic. An error when the request can't be
// met.
Status select_backward_policy(const BackwardProblem& problem, BackwardRequest request,
                              BackwardPolicy* policy);

// Where each part of the workspace starts, in bytes, and its size. kSorted: two copies of the
// pairs, the sort's own needs, and 2 * dim sums per tile of kSegmentTile indices; kAtomic: nothing.
struct BackwardWorkspace {
  std::int64_t unsorted_keys = 0;
  std::int64_t unsorted_positions = 0;
  std::int64_t keys = 0;
  std::int64_t positions = 0;
  std::int64_t sort_temp = 0;
  std::int64_t sort_temp_bytes = 0;
  std::int64_t partials = 0;
  std::int64_t total_bytes = 0;
};

Status plan_backward_workspace(const BackwardProblem& problem, const BackwardPolicy& policy,
                               BackwardWorkspace* workspace);

// All pointers are device pointers; grad_output and grad_table are aligned to the element type.
struct BackwardArgs {
  BackwardProblem problem;
  const void* grad_output = nullptr;  // [num_indices, dim]
  const void* indices = nullptr;      // [num_indices]
  void* grad_table = nullptr;         // out: [num_rows, dim], overwritten
  void* workspace = nullptr;          // BackwardWorkspace::total_bytes, 256-byte aligned
};

// Asynchronous on `stream`, no host synchronisation. grad_table[r] = sum of grad_output[i] over
// indices[i] == r. An index out of range adds to nothing.
Status backward(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream);

}  // namespace rowlane::kernels
