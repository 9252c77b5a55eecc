// The steps of optimizers on rows alone, as C++ functions, and the checks that every backend's
// kernel begins with.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "csrc/ops/dispatch.h"
#include "csrc/ops/step_rule.h"

namespace rowlane::ops {

// What a step changes: arguments of the ops.
struct StepTarget {
  at::Tensor weight;  // [V, D], contiguous
  // What the rule keeps, contiguous. Those of [V, D] have weight's dtype, or all are float; those
  // of [V] are float, or double for double.
  std::vector<at::Tensor> state;
  // [V] int64, or undefined. Either the number of steps that each row has taken (counts_rows: t is
  // the row's own, numbers.step is ignored), or the number of the step to which each row is up to
  // date: t is written to the rows that take it.
  at::Tensor row_steps;
  bool counts_rows = false;
  // [V, D] float, or undefined: what the table is a rounded copy of.
  at::Tensor master;
  // Given, a 16-bit table is rounded up or down at random, with this seed, so that the mean is
  // right. The bits are those of cuda/rounding.h: the upper 16 for bfloat16, the upper 13 for half.
  std::optional<std::int64_t> seed;
};

// The inverses of to_string(rule) and to_list(numbers). `op` begins the messages.
StepRule parse_rule(std::string_view op, std::string_view rule);
StepNumbers parse_numbers(std::string_view op, at::ArrayRef<double> numbers);

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

// The arguments of an op, checked as far as they are known even of tensors without data: what every
// backend's kernel begins with.
struct StepCall {
  StepTarget target;
  StepRule rule;
  StepNumbers numbers;
};

struct RowStepCall : StepCall {
  using Op = RowStepOp;
  static constexpr const char* kOp = Op::kName;
  RowStepCall(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
              bool counts_rows, OptionalTensor master, OptionalInt seed, const at::Tensor& row_list,
              const at::Tensor& value_list, std::string_view rule_name,
              at::ArrayRef<double> number_list);

  at::Tensor rows;
  at::Tensor values;
};

struct EmbeddingStepCall : StepCall {
  using Op = EmbeddingStepOp;
  static constexpr const char* kOp = Op::kName;
  EmbeddingStepCall(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
                    bool counts_rows, OptionalTensor master, OptionalInt seed,
                    const at::Tensor& grad, const at::Tensor& index_list,
                    std::string_view rule_name, at::ArrayRef<double> number_list,
                    OptionalInt padding_row, bool scales_by_freq);

  at::Tensor grad_output;
  at::Tensor indices;
  OptionalInt padding_idx;
  bool scale_grad_by_freq;
};

// `numbers` is unused: each step has its own.
struct RowCatchUpCall : StepCall {
  using Op = RowCatchUpOp;
  static constexpr const char* kOp = Op::kName;
  RowCatchUpCall(const at::Tensor& weight, at::TensorList state, const at::Tensor& row_steps,
                 OptionalTensor master, OptionalInt seed, OptionalTensor index_list,
                 std::string_view rule_name, const at::Tensor& number_history,
                 std::int64_t up_to_step);

  // The lines of the history, whose steps must ascend from 1 or more.
  [[nodiscard]] std::vector<StepNumbers> lines() const;

  std::optional<at::Tensor> indices;
  at::Tensor history;
  std::int64_t last_step;
};

// A kernel of a backend, by its call, as the dispatcher takes it.
template <typename Call, void (*kKernel)(const Call&), typename Signature = Call::Op::Signature>
struct StepKernel;
template <typename Call, void (*kKernel)(const Call&), typename... Args>
struct StepKernel<Call, kKernel, void(Args...)> {
  static void run(Args... args) { kKernel(Call(args...)); }
};

}  // namespace rowlane::ops
