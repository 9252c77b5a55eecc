// The numbers of the steps that a table has taken, for rows that catch up.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "csrc/ops/row_step.h"

namespace rowlane::optim::detail {

// A line per change, so that a run of steps with the same numbers costs one.
class StepHistory {
 public:
  // Steps are recorded in their order.
  void record(const ops::StepNumbers& numbers);
  void clear();
  // [K, ops::kNumStepNumbers] double, as ops::row_catch_up takes it; shares this object's memory.
  [[nodiscard]] at::Tensor lines() const;
  [[nodiscard]] std::int64_t num_lines() const { return num_lines_; }

 private:
  std::optional<ops::StepNumbers> last_;
  at::Tensor buffer_;  // [capacity, ops::kNumStepNumbers]
  std::int64_t num_lines_ = 0;
};

}  // namespace rowlane::optim::detail
