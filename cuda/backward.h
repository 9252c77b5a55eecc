// Backward of the row gather, by one of several algorithms: the gradient of the table, dense or
// compact, or an optimizer's step with it.
#pragma once

#include <cstdint>

#include "grad_source.h"
#include "index_report.h"
#include "policy.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "sort_pairs.h"
#include "step_rule.h"
#include "tuning.h"
#include "types.h"

namespace rowlane::kernels {

struct BackwardProblem {
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::int64_t num_indices = 0;
  std::int64_t padding_row = -1;  // its gradient is zero; -1 for none
  GradSourceArgs source{};
  // The addresses of the source and of rows_out, or of kStep step_address_bits(), or-ed together: 0
  // stands for any that are multiples of 16 bytes.
  std::uint64_t address_bits = 0;
  RowTarget target = RowTarget::kDense;
  bool scale_by_count = false;  // divides a row's sum by how often the row was looked up
  ElemType elem_type = ElemType::kFloat32;
  IndexType index_type = IndexType::kInt64;
};

// What the caller asks for.
enum class BackwardRequest : std::uint8_t { kAuto, kAtomic, kSorted, kSmall };

// What is done.
enum class ChosenBackward : std::uint8_t {
  kAtomic,  // zero fill, then atomic additions; float32 and float64
  kSorted,  // sort by row, then segment reduce; deterministic
  kSmall,   // one launch for at most kSmallMaxIndices indices and kDense; deterministic
};

struct BackwardPolicy {
  ChosenBackward algorithm = ChosenBackward::kSorted;
  PairFormat pairs;        // of kSorted
  SegmentPolicy segments;  // of kSorted
  SmallPolicy small;       // of kSmall

  friend bool operator==(const BackwardPolicy&, const BackwardPolicy&) = default;
};

// A pure function of the problem and the tuning; kAuto is always deterministic. An error when the
// request can't be met.
Status select_backward_policy(const BackwardProblem& problem, BackwardRequest request,
                              BackwardPolicy* policy, const Tuning& tuning = {});

// Where each part of the workspace starts, in bytes, and its size. kSorted: what the sort needs,
// then segment_workspace_bytes(); kAtomic and kSmall: nothing.
struct BackwardWorkspace {
  SortWorkspace sort;
  std::int64_t segments = 0;
  std::int64_t total_bytes = 0;
};

Status plan_backward_workspace(const BackwardProblem& problem, const BackwardPolicy& policy,
                               BackwardWorkspace* workspace);

// All pointers are device pointers; rows_out is aligned to the element type.
struct BackwardArgs {
  BackwardProblem problem;
  const void* indices = nullptr;        // [num_indices]
  void* rows_out = nullptr;             // kDense: [num_rows, dim], overwritten; kAdd: added to;
                                        // kCompact: [min(num_rows, num_indices), dim], as far as
                                        // num_slots says
  std::int64_t* row_numbers = nullptr;  // out, kCompact: [min(num_rows, num_indices)]
  std::int64_t* num_slots = nullptr;    // out, kCompact: [1], how many rows have an index
  const RowStep* step = nullptr;        // kStep: as segment_step() takes it
  void* workspace = nullptr;            // BackwardWorkspace::total_bytes, 256-byte aligned
  IndexReport* report = nullptr;        // of indices out of range; null: they are not reported
};

// Asynchronous on `stream`, no host synchronisation. A row r gets the sum of the source's rows i
// with indices[i] == r. An index out of range, or of the padding row, adds to nothing; the former
// is reported, unless there is no row or no column. The policy is select_backward_policy()'s.
Status backward(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream);

}  // namespace rowlane::kernels
