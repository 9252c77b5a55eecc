// Proves that a way to train takes the right step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "step/stepper.h"

namespace rowlane::bench {

// The first step of an optimizer, computed in double from the optimizers' formulas.
class FirstStep {
 public:
  // output_grad [*, dim] are small integers, so that the sums of its rows are exact in float.
  FirstStep(StepOp op, at::Tensor table, at::Tensor indices, at::Tensor output_grad);

  // Lets the stepper take its first step. Returns the largest absolute error in the rows that are
  // looked up, and undoes what has happened to them. Throws std::runtime_error when it is beyond
  // what rounding explains, or when a row that isn't looked up has changed.
  double check(const Stepper& stepper) const;

  [[nodiscard]] std::int64_t num_distinct_rows() const { return rows_.numel(); }

 private:
  at::Tensor table_;  // [num_rows, dim]
  at::Tensor indices_;
  at::Tensor output_grad_;
  at::Tensor rows_;    // [U] int64
  at::Tensor before_;  // [U, dim]
  at::Tensor after_;   // [U, dim] double
  std::int64_t most_repeats_ = 0;
  // A row that isn't looked up, if there is one.
  std::int64_t other_row_ = -1;
};

}  // namespace rowlane::bench
