// A step's target as raw pointers.
#pragma once

#include "csrc/cpu/loops/step_loops.h"
#include "csrc/ops/row_step.h"

namespace rowlane::cpu {

// The target has been checked.
inline StepTable step_table(const ops::StepTarget& target, ops::StepRule rule) {
  const at::ScalarType type = target.weight.scalar_type();
  StepTable table{
      .weight = target.weight.mutable_data_ptr(),
      .master = target.master.defined() ? target.master.mutable_data_ptr<float>() : nullptr,
      .state = {},
      .num_states = static_cast<int>(target.state.size()),
      .last_is_per_row = ops::rule_traits(rule).row_states > 0,
      .state_is_wide = target.state.empty() || type == at::kDouble ||
                       target.state[0].scalar_type() == at::kFloat,
      .row_steps =
          target.row_steps.defined() ? target.row_steps.mutable_data_ptr<std::int64_t>() : nullptr,
      .dim = target.weight.size(1),
      .rounds_at_random = target.seed.has_value(),
      .seed = static_cast<std::uint64_t>(target.seed.value_or(0))};
  for (std::size_t k = 0; k < target.state.size(); ++k) {
    table.state[k] = target.state[k].mutable_data_ptr();
  }
  return table;
}

}  // namespace rowlane::cpu
