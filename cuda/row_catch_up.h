// What an optimizer does to rows in steps for which they have a gradient of zero, done late.
#pragma once

#include <cstdint>
#include <vector>

#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "step_rule.h"
#include "types.h"

namespace rowlane::kernels {

// The steps from `begin` on and before `end`, which have the same numbers.
struct CatchUpLine {
  std::int64_t begin = 1;
  std::int64_t end = 1;
  double lr = 0;
  double weight_decay = 0;
  double beta1 = 0;
  double beta2 = 0;
  double eps = 0;
  // kAdam: no step of these and later ones multiplies m by more; an infinity where such steps may
  // change w although an earlier one has not.
  double largest_lr = 0;
  std::int32_t is_decoupled = 0;
  std::int32_t is_nesterov = 0;
};

// Up to last_step, from `numbers`, of which each holds from its `step` on until the next; they
// ascend.
std::vector<CatchUpLine> catch_up_lines(const RowStep& step,
                                        const std::vector<StepNumbers>& numbers,
                                        std::int64_t last_step);

// All pointers are device pointers, aligned to their type.
struct RowCatchUpArgs {
  RowStep step;  // without its numbers; row_steps says up to which step each row has been brought
  const CatchUpLine* lines = nullptr;  // [num_lines], from the first step that a row has missed
  std::int64_t num_lines = 0;
  std::int64_t last_step = 0;
  const void* indices = nullptr;  // [num_indices], or null for all rows
  IndexType index_type = IndexType::kInt64;
  std::int64_t num_indices = 0;
  void* workspace = nullptr;      // row_catch_up_workspace_bytes(), 256-byte aligned
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// The sorted pairs, as renorm_workspace_bytes(); none for all rows.
Status row_catch_up_workspace_bytes(const RowCatchUpArgs& args, std::int64_t* bytes);

// The sort's launches, unless all rows are meant, and one more; asynchronous on `stream`. Brings
// each row in indices, however often it is there, from its row_steps to last_step by kSgd, kAdagrad
// or kAdam. An index out of range does nothing and is reported. Deterministic.
//
// kSgd, and what has no weight_decay that is part of g, is a multiplication by numbers that are
// powers, whatever the age of the row. kAdam is replayed up to where m is too small to change w,
// and with the powers from there: with betas 0.9 and 0.999 about 170 steps. With a weight_decay
// that is part of g, kAdagrad and kAdam are replayed step by step.
Status row_catch_up(const RowCatchUpArgs& args, Stream stream);

}  // namespace rowlane::kernels
