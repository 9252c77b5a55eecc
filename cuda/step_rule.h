// The step of an optimizer on rows of a table: rules, their numbers, and what they change.
#pragma once

#include <array>
#include <cstdint>

#include "types.h"

namespace rowlane::kernels {

// What happens to a row w whose gradients have the sum g, in step t, counted from 1.
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
  // largest v, which then is used instead. Source: torch.optim.Adam and, decoupled,
  // torch.optim.AdamW.
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

// The numbers of one step.
struct StepNumbers {
  double lr = 0;
  double weight_decay = 0;
  // w is multiplied by 1 - lr weight_decay before the rest, instead of g += weight_decay w. (LAMB's
  // is part of its formula.)
  bool is_decoupled = false;
  double beta1 = 0;  // SGD: momentum
  double beta2 = 0;  // SGD: dampening
  double eps = 0;
  bool is_nesterov = false;
  std::int64_t step = 1;  // t

  friend bool operator==(const StepNumbers&, const StepNumbers&) = default;
};

inline constexpr int kMaxStepStates = 3;

// What a step changes. All pointers are device pointers, aligned to their type.
struct StepTarget {
  void* weight = nullptr;  // [num_rows, dim]
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  ElemType elem_type = ElemType::kFloat32;
  // In the order of the rule; those of [num_rows, dim] have elem_type or, states_are_float, are
  // float; those of [num_rows] are float, or double for double.
  std::array<void*, kMaxStepStates> states{};
  bool states_are_float = false;
  // [num_rows], or null. With counts_rows how many steps each row has taken, one more of which is
  // its t; else t is written to the rows that take the step.
  std::int64_t* row_steps = nullptr;
  bool counts_rows = false;
  float* master = nullptr;  // [num_rows, dim], what a 16-bit table is a rounded copy of; or null
  bool rounds_at_random = false;  // a 16-bit table is: rounding.h
  std::uint64_t seed = 0;
};

struct RowStep {
  StepTarget target{};
  StepRule rule = StepRule::kSgd;
  StepNumbers numbers{};
};

// Whether each element of a row takes its step for itself, without a mean or norm of the row.
constexpr bool is_elementwise(StepRule rule) {
  return rule != StepRule::kRowWiseAdagrad && rule != StepRule::kPartialRowWiseAdam &&
         rule != StepRule::kLamb;
}

// How many of the states have a number for each element, the first ones.
inline int num_element_states(const RowStep& step) {
  switch (step.rule) {
    case StepRule::kSgd:
      return step.target.states[0] != nullptr ? 1 : 0;
    case StepRule::kRowWiseAdagrad:
      return 0;
    case StepRule::kAdagrad:
    case StepRule::kPartialRowWiseAdam:
      return 1;
    case StepRule::kAdam:
      return step.target.states[2] != nullptr ? 3 : 2;
    case StepRule::kSparseAdam:
    case StepRule::kLamb:
      return 2;
  }
  return 0;
}

// As in access_bytes, for accesses of the width of the table's: addresses of everything that a row
// has elements in.
std::uint64_t step_address_bits(const RowStep& step);

}  // namespace rowlane::kernels
