// The rules of the optimizers' steps and their numbers, which the CPU and the device code share,
// and the numbers as a list.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "cuda/step_rule.h"

namespace rowlane::ops {

using kernels::rule_traits;
using kernels::RuleTraits;
using kernels::StepNumbers;
using kernels::StepRule;

// The name that the dispatcher ops take.
constexpr std::string_view to_string(StepRule rule) { return rule_traits(rule).name; }

inline constexpr std::size_t kNumStepNumbers = 8;

// In the order in which the dispatcher ops take them.
inline std::vector<double> to_list(const StepNumbers& n) {
  return {n.lr,    n.weight_decay, n.is_decoupled ? 1. : 0., n.beta1,
          n.beta2, n.eps,          n.is_nesterov ? 1. : 0.,  static_cast<double>(n.step)};
}

}  // namespace rowlane::ops
