// Times whole training steps of one table, and how they grow.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/timing.h"
#include "step/stepper.h"
#include "workloads/workload.h"

namespace rowlane::bench {

struct StepResult {
  // "step", "step-rows" (growth with the table) or "step-indices" (with the look-up).
  std::string workload;
  StepOp op = StepOp::kSgd;
  std::string impl;
  std::string algorithm;
  std::string name;  // for people
  Problem problem;
  Timing timing{};
  std::int64_t num_distinct_rows = 0;
  // Most tensor memory at one time in a step, beside the table and the state.
  std::int64_t peak_bytes = 0;
  // The error of the first step, against double; where it was proved.
  std::optional<double> max_abs_error = std::nullopt;

  // The fewest bytes that must be moved: each distinct row, and what is kept for it, once.
  [[nodiscard]] std::int64_t floor_bytes() const;
};

struct StepSkip {
  std::string workload;
  StepOp op = StepOp::kSgd;
  std::string impl;
  Problem problem;
  std::string reason;
};

struct StepReport {
  std::vector<StepResult> results;
  std::vector<StepSkip> skips;
};

struct StepPlan {
  // For a comparison or a growth curve.
  double budget_s = 8.0;
  bool is_quick = false;
  // Told what is being done.
  std::function<void(const std::string& text)> on_step;
};

// Proves all ways of the operation right on the problem, then times them in turns.
StepReport compare_steps(StepOp op, const Problem& problem, const StepPlan& plan);

// Rowlane's fused steps over tables or look-ups of different sizes, in turns. Tables that don't fit
// into the memory that is free are left out.
StepReport measure_growth(const std::string& workload, StepOp op,
                          const std::vector<Problem>& problems, const StepPlan& plan);

}  // namespace rowlane::bench
