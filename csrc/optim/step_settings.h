// What a parameter group says of a step, and what a rule keeps: the same for all optimizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "csrc/ops/row_step.h"

namespace rowlane::optim::detail {

struct StepSettings {
  ops::StepNumbers numbers;  // the table counts the steps itself
  double lr_decay = 0;       // lr / (1 + (t - 1) lr_decay)
  double initial = 0;        // of every element of a new state
  bool amsgrad = false;
  bool maximize = false;
};

// What an optimizer does with a dense gradient of a parameter that isn't a table.
enum class DenseGradients : std::uint8_t {
  kTorch,    // torch's own step
  kAllRows,  // a step of rows, of all of them
  kRefused,
};

// A tensor that a rule keeps, under torch's name.
struct StateName {
  const char* name;
  bool is_per_row = false;  // [V] instead of the parameter's shape
};

// All that the rule may keep, in the order in which the ops take it.
std::span<const StateName> state_names(ops::StepRule rule);
// How many of them it does keep.
std::size_t num_states(ops::StepRule rule, const StepSettings& settings);
// Whether the state has a count of the steps. torch's SGD has none, and its first step is the one
// that makes the momentum buffer.
constexpr bool counts_steps(ops::StepRule rule) { return rule != ops::StepRule::kSgd; }

}  // namespace rowlane::optim::detail
