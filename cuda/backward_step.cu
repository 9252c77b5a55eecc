// How a backward that ends in a step is planned and put together.
#include <algorithm>

#include "cuda/backward_step.h"
#include "cuda/policy.h"
#include "cuda/workspace.h"

namespace rowlane::kernels {

Status plan_backward_step(const BackwardProblem& problem, const RowStep& step,
                          BackwardStepPlan* plan, const Tuning& tuning) {
  *plan = {};
  plan->problem = problem;
  const bool is_fused = rule_traits(step.rule).is_elementwise && !step.target.counts_rows;
  plan->problem.target = is_fused ? RowTarget::kStep : RowTarget::kCompact;
  if (is_fused) {
    plan->problem.address_bits |= step_address_bits(step);
  }
  ROWLANE_RETURN_IF_ERROR(
      select_backward_policy(plan->problem, BackwardRequest::kAuto, &plan->policy, tuning));
  ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(plan->problem, plan->policy, &plan->backward));
  plan->total_bytes = plan->backward.total_bytes;
  if (!is_fused) {
    WorkspaceLayout layout(plan->total_bytes);
    const std::int64_t capacity = std::min(problem.num_rows, problem.num_indices);
    plan->values = layout.take(capacity * problem.dim * elem_bytes(problem.elem_type));
    plan->row_numbers = layout.take(capacity * std::int64_t{sizeof(std::int64_t)});
    plan->num_slots = layout.take(sizeof(std::int64_t));
    plan->total_bytes = layout.total_bytes();
  }
  return {};
}

Status backward_step(const BackwardStepArgs& args, const BackwardStepPlan& plan, Stream stream) {
  const BackwardProblem& problem = plan.problem;
  if (problem.num_rows * problem.dim == 0 || problem.num_indices == 0) {
    return {};
  }
  BackwardArgs backward_args{.problem = problem,
                             .indices = args.indices,
                             .step = &args.step,
                             .workspace = args.workspace,
                             .report = args.report};
  if (problem.target == RowTarget::kStep) {
    return backward(backward_args, plan.policy, stream);
  }
  auto* const base = static_cast<char*>(args.workspace);
  backward_args.rows_out = base + plan.values;
  backward_args.row_numbers = reinterpret_cast<std::int64_t*>(base + plan.row_numbers);
  backward_args.num_slots = reinterpret_cast<std::int64_t*>(base + plan.num_slots);
  ROWLANE_RETURN_IF_ERROR(backward(backward_args, plan.policy, stream));
  return row_step({.step = args.step,
                   .rows = backward_args.row_numbers,
                   .values = backward_args.rows_out,
                   .max_slots = std::min(problem.num_rows, problem.num_indices),
                   .num_slots = backward_args.num_slots},
                  stream);
}

}  // namespace rowlane::kernels
