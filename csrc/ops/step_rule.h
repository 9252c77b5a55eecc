// The rules of the optimizers' steps and their numbers, which the CPU and the device code share,
// and the numbers as a list.
#pragma once

#include <cstddef>
#include <vector>

#include "cuda/step_rule.h"

namespace rowlane::ops {

using kernels::StepNumbers;
using kernels::StepRule;

inline constexpr std::size_t kNumStepNumbers = 8;

// In the order in which the dispatcher ops take them.
inline std::vector<double> to_list(const StepNumbers& n) {
  return {n.lr,    n.weight_decay, n.is_decoupled ? 1. : 0., n.beta1,
          n.beta2, n.eps,          n.is_nesterov ? 1. : 0.,  static_cast<double>(n.step)};
}

}  // namespace rowlane::ops
