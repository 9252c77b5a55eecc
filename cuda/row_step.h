// An optimizer's step of rows whose gradients have been summed already.
#pragma once

#include <cstdint>

#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "step_rule.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to their type.
struct RowStepArgs {
  RowStep step;
  const std::int64_t* rows = nullptr;  // [max_slots], all different
  const void* values = nullptr;        // [max_slots, dim]: the sums of their gradients
  std::int64_t max_slots = 0;
  const std::int64_t* num_slots = nullptr;  // [1], how many of them there are; null: all
  IndexReport* report = nullptr;            // of rows out of range; null: they are not reported
};

// One launch, asynchronous on `stream`. Each of the rows takes the step, by any rule; one that is
// out of range is skipped and reported. Arithmetic, means and norms are in double for double and in
// float for everything else; a row's sums are added in an order that depends on its length and its
// alignment alone, so that the result is deterministic.
Status row_step(const RowStepArgs& args, Stream stream);

}  // namespace rowlane::kernels
