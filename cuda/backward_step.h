// The backward of the row gather that ends in an optimizer's step: no gradient of the table, dense
// or sparse, leaves it.
#pragma once

#include "backward.h"
#include "row_step.h"
#include "simt/status.h"
#include "step_rule.h"
#include "tuning.h"

namespace rowlane::kernels {

// How a step is taken, and where each part of the workspace starts, in bytes.
struct BackwardStepPlan {
  // kStep: the engine steps each row that it has summed. kCompact, for rules that need a whole row
  // at once and for targets that count rows: the row gradient is made in the workspace, and its
  // rows are stepped from there; its sums are rounded to the table's type in between.
  BackwardProblem problem;
  BackwardPolicy policy;
  BackwardWorkspace backward;
  std::int64_t values = 0;       // kCompact: [min(num_rows, num_indices), dim]
  std::int64_t row_numbers = 0;  // kCompact: [min(num_rows, num_indices)]
  std::int64_t num_slots = 0;    // kCompact: [1]
  std::int64_t total_bytes = 0;
};

// `problem`: its sizes, types, source, padding row and scale_by_count; address_bits are of the
// source. A pure function of the arguments.
Status plan_backward_step(const BackwardProblem& problem, const RowStep& step,
                          BackwardStepPlan* plan, const Tuning& tuning = {});

// All pointers are device pointers.
struct BackwardStepArgs {
  RowStep step;
  const void* indices = nullptr;  // [num_indices]
  void* workspace = nullptr;      // BackwardStepPlan::total_bytes, 256-byte aligned
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// Asynchronous on `stream`, no host synchronisation, deterministic. Each row in indices takes the
// step once, by the sum of the source's rows i with indices[i] == row; one out of range, and the
// padding row, take none, and the former is reported. The plan is plan_backward_step()'s for the
// same step.
Status backward_step(const BackwardStepArgs& args, const BackwardStepPlan& plan, Stream stream);

}  // namespace rowlane::kernels
