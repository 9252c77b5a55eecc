// The steps of optimizers on rows alone, as C++ functions, and the checks that every backend's
// kernel begins with.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rowlane::ops {

// What happens to a row w, whose gradients have the sum g. t is the number of the step, from 1 on.
enum class StepRule : std::uint8_t {
  // g += weight_decay w; buf = momentum buf + (1 - dampening) g (in step 1: g); w -= lr d, where d
  // is buf, or with nesterov g + momentum buf; without momentum g. State: buf, with momentum.
  // Source: torch.optim.SGD.
  kSgd,
  // g += weight_decay w; sum += g^2; w -= lr g / (sqrt(sum) + eps). State: sum. Source:
  // torch.optim.Adagrad; its lr_decay is part of lr.
  kAdagrad,
  // Adagrad with one number per row: sum += mean(g^2). State: sum [V]. Source: FBGEMM,
  // EXACT_ROWWISE_ADAGRAD.
  kRowWiseAdagrad,
  // g += weight_decay w; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
  // w -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps). State: m, v and, of AMSGrad, the
  // largest v. Source: torch.optim.Adam and, decoupled, torch.optim.AdamW.
  kAdam,
  // m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v);
  // w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps): eps comes before the correction
  // of the bias. State: m, v. Source: torch.optim.SparseAdam.
  kSparseAdam,
  // Adam with one v per row: v = beta2 v + (1 - beta2) mean(g^2). State: m, v [V]. Source: FBGEMM,
  // PARTIAL_ROWWISE_ADAM.
  kPartialRowWiseAdam,
  // r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w;
  // w -= lr |w| / |r| r, and w -= lr r where a norm is zero. State: m, v. Source: You et al.,
  // "Large Batch Optimization for Deep Learning", with a trust ratio per row.
  kLamb,
};

// "sgd", "adagrad", "rowwise_adagrad", "adam", "sparse_adam", "partial_rowwise_adam", "lamb": the
// names that the dispatcher ops take.
std::string_view to_string(StepRule rule);
StepRule parse_rule(std::string_view op, std::string_view rule);

// The numbers of one step, in the order in which the dispatcher ops take them.
struct StepNumbers {
  double lr = 0;
  double weight_decay = 0;
  // 1: w is multiplied by 1 - lr weight_decay before the rest; 0: g += weight_decay w. (LAMB's is
  // part of its formula.)
  double is_decoupled = 0;
  double beta1 = 0;  // SGD: momentum
  double beta2 = 0;  // SGD: dampening
  double eps = 0;
  double is_nesterov = 0;
  double step = 1;  // t

  static constexpr std::size_t kCount = 8;
  [[nodiscard]] std::vector<double> to_list() const {
    return {lr, weight_decay, is_decoupled, beta1, beta2, eps, is_nesterov, step};
  }
};
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

// rows [U] int64, all different; values [U, D], weight's dtype: the sums of their gradients.
void row_step(const StepTarget& target, const at::Tensor& rows, const at::Tensor& values,
              StepRule rule, const StepNumbers& numbers);
// The same with the sums of grad_output [*, D] over indices [*], without a gradient in memory.
void embedding_step(const StepTarget& target, const at::Tensor& grad_output,
                    const at::Tensor& indices, StepRule rule, const StepNumbers& numbers,
                    std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq);
// Brings rows to where a dense optimizer, for which they had a gradient of zero, would have brought
// them: by the steps (row_steps[row], last_step]. `indices` [*] names rows, and may repeat them;
// undefined for all rows. history [K, StepNumbers::kCount] double, on the CPU: the numbers from the
// step on that stands in column `step`, ascending, until the next line; the first line's step is 1
// or at most the smallest row_steps + 1. Rules: sgd, adagrad, adam.
void row_catch_up(const StepTarget& target, const std::optional<at::Tensor>& indices, StepRule rule,
                  const at::Tensor& history, std::int64_t last_step);

// Ranks, shapes, dtypes and devices of the target.
void check_target(std::string_view op, const StepTarget& target, StepRule rule,
                  const StepNumbers& numbers);

}  // namespace rowlane::ops
