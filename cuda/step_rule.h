// The step of an optimizer on rows of a table: rules, their numbers, and what they change.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

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

// What a rule does with weight_decay.
enum class DecayKind : std::uint8_t {
  kOfGradient,  // g += weight_decay w, or where it is decoupled, w is multiplied first
  kOfStep,      // its own formula says
  kNone,        // nothing
};

// What a rule keeps, and what may be asked of it.
struct RuleTraits {
  StepRule rule;
  std::string_view name;              // in the arguments of ops and in messages
  int element_states;                 // numbers that it keeps for each element
  int extra_states = 0;               // and that it may keep after them: momentum, AMSGrad
  int row_states = 0;                 // numbers that it keeps for each row, after all those
  bool is_elementwise = true;         // no element's step needs a mean or norm of the row
  bool has_moments = false;           // m and v, whose bias is corrected
  bool has_dense_equivalent = false;  // rows can catch up on steps with a gradient of zero
  DecayKind decay = DecayKind::kOfGradient;

  // Whether a step with these numbers changes no row whose gradient is zero.
  [[nodiscard]] constexpr bool leaves_other_rows(const StepNumbers& numbers) const {
    const bool has_momentum = has_moments || (rule == StepRule::kSgd && numbers.beta1 != 0);
    return has_dense_equivalent && !has_momentum && numbers.weight_decay == 0;
  }
};

// The one table of rules, in the order of StepRule.
inline constexpr auto kRules = std::to_array<RuleTraits>({
    {.rule = StepRule::kSgd,
     .name = "sgd",
     .element_states = 0,
     .extra_states = 1,
     .has_dense_equivalent = true},
    {.rule = StepRule::kAdagrad,
     .name = "adagrad",
     .element_states = 1,
     .has_dense_equivalent = true},
    {.rule = StepRule::kRowWiseAdagrad,
     .name = "rowwise_adagrad",
     .element_states = 0,
     .row_states = 1,
     .is_elementwise = false},
    {.rule = StepRule::kAdam,
     .name = "adam",
     .element_states = 2,
     .extra_states = 1,
     .has_moments = true,
     .has_dense_equivalent = true},
    {.rule = StepRule::kSparseAdam,
     .name = "sparse_adam",
     .element_states = 2,
     .has_moments = true,
     .decay = DecayKind::kNone},
    {.rule = StepRule::kPartialRowWiseAdam,
     .name = "partial_rowwise_adam",
     .element_states = 1,
     .row_states = 1,
     .is_elementwise = false,
     .has_moments = true},
    {.rule = StepRule::kLamb,
     .name = "lamb",
     .element_states = 2,
     .is_elementwise = false,
     .has_moments = true,
     .decay = DecayKind::kOfStep},
});

inline constexpr int kMaxStepStates = 3;

static_assert(std::ranges::all_of(kRules, [](const RuleTraits& traits) {
  return &traits == &kRules[static_cast<std::size_t>(traits.rule)] &&
         traits.element_states + traits.extra_states + traits.row_states <= kMaxStepStates;
}));

constexpr const RuleTraits& rule_traits(StepRule rule) {
  return kRules[static_cast<std::size_t>(rule)];
}

// The rules of which `is_in` holds, a bit each: device code can't look into the table itself.
template <typename Predicate>
constexpr std::uint32_t rule_set(const Predicate& is_in) {
  std::uint32_t rules = 0;
  for (const RuleTraits& traits : kRules) {
    rules |= is_in(traits) ? 1U << static_cast<unsigned>(traits.rule) : 0U;
  }
  return rules;
}

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

// How many of the states have a number for each element, the first ones.
inline int num_element_states(const RowStep& step) {
  const RuleTraits& traits = rule_traits(step.rule);
  int num_states = traits.element_states;
  while (num_states < traits.element_states + traits.extra_states &&
         step.target.states[static_cast<std::size_t>(num_states)] != nullptr) {
    ++num_states;
  }
  return num_states;
}

// As in access_bytes, for accesses of the width of the table's: addresses of everything that a row
// has elements in.
std::uint64_t step_address_bits(const RowStep& step);

}  // namespace rowlane::kernels
