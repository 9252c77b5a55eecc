// The steps of optimizers on rows alone, as C++ functions, and the checks that every backend's
// kernel begins with.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "csrc/ops/step_rule.h"

namespace rowlane::ops {

// "sgd", "adagrad", "rowwise_adagrad", "adam", "sparse_adam", "partial_rowwise_adam", "lamb": the
// names that the dispatcher ops take.
std::string_view to_string(StepRule rule);
StepRule parse_rule(std::string_view op, std::string_view rule);

StepNumbers parse_numbers(std::string_view op, at::ArrayRef<double> numbers);

// What a step changes: arguments of the ops.
struct StepTarget {
  at::Tensor weight;  // [V, D], contiguous
  // Of the rule, contiguous. Those of [V, D] have weight's dtype, or all are float; those of [V]
  // are float, or double for double.
  std::vector<at::Tensor> state;
  // [V] int64, or undefined. Either the number of steps that each row has taken (counts_rows: t is
  // the row's own, numbers.step is ignored), or the number of the step to which each row is up to
  // date: t is written to the rows that take it.
  at::Tensor row_steps;
  bool counts_rows = false;
  // [V, D] float, or undefined: what the table is a rounded copy of.
  at::Tensor master;
  // Of a 16-bit table: rounded up or down at random, with this seed, so that the mean is right.
  // The bits are those of cuda/rounding.h: the upper 16 for bfloat16, the upper 13 for half.
  std::optional<std::int64_t> seed;
};

// The dispatcher ops; schemas in csrc/library.cpp. None is differentiable.

// rows [U] int64, all different, best ascending; values [U, D], weight's dtype: the sums of their
// gradients. On the CPU a row out of range (c10::IndexError) or one that is named twice
// (c10::ValueError) is found before anything is changed; rows that don't ascend are sorted for it.
void row_step(const StepTarget& target, const at::Tensor& rows, const at::Tensor& values,
              StepRule rule, const StepNumbers& numbers);
// The same with the sums of grad_output [*, D] over indices [*], without a gradient in memory.
void embedding_step(const StepTarget& target, const at::Tensor& grad_output,
                    const at::Tensor& indices, StepRule rule, const StepNumbers& numbers,
                    std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq);
// Brings rows to where a dense optimizer, for which they had a gradient of zero, would have brought
// them: by the steps (row_steps[row], last_step]. `indices` [*] names rows, and may repeat them;
// undefined for all rows. history [K, kNumStepNumbers] double, on the CPU: the numbers from the
// step on that stands in column `step`, ascending, until the next line; the first line's step is 1
// or at most the smallest row_steps + 1. Rules: sgd, adagrad, adam.
void row_catch_up(const StepTarget& target, const std::optional<at::Tensor>& indices, StepRule rule,
                  const at::Tensor& history, std::int64_t last_step);

// The arguments of the ops as one.
StepTarget step_target(const at::Tensor& weight, at::TensorList state,
                       const std::optional<at::Tensor>& row_steps, bool counts_rows,
                       const std::optional<at::Tensor>& master, std::optional<std::int64_t> seed);

// Ranks, shapes, dtypes and devices of the target.
void check_target(std::string_view op, const StepTarget& target, StepRule rule,
                  const StepNumbers& numbers);

// The same of all arguments: what is known even of tensors without data.
void check_row_step(std::string_view op, const StepTarget& target, const at::Tensor& rows,
                    const at::Tensor& values, StepRule rule, const StepNumbers& numbers);
void check_embedding_step(std::string_view op, const StepTarget& target,
                          const at::Tensor& grad_output, const at::Tensor& indices, StepRule rule,
                          const StepNumbers& numbers, std::optional<std::int64_t> padding_idx);
void check_row_catch_up(std::string_view op, const StepTarget& target,
                        const std::optional<at::Tensor>& indices, StepRule rule,
                        const at::Tensor& history, std::int64_t last_step);

// The lines of a history, whose steps must ascend from 1 or more.
std::vector<StepNumbers> parse_history(std::string_view op, const at::Tensor& history);

}  // namespace rowlane::ops
