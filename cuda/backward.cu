// The backward's algorithm choice, workspace and sequence of launches.
#include "cuda/backward.h"
#include "cuda/policy.h"
#include "cuda/scatter_atomic.h"
#include "cuda/segment_reduce.h"
#include "cuda/simt/runtime.cuh"

namespace rowlane::kernels {
namespace {

Status backward_atomic(const BackwardArgs& args, Stream stream) {
  const BackwardProblem& problem = args.problem;
  return scatter_atomic({.grad_output = args.grad_output,
                         .indices = args.indices,
                         .grad_table = args.grad_table,
                         .num_rows = problem.num_rows,
                         .dim = problem.dim,
                         .num_indices = problem.num_indices,
                         .padding_row = problem.padding_row,
                         .elem_type = problem.elem_type,
                         .index_type = problem.index_type},
                        stream);
}

Status backward_sorted(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream) {
  const BackwardProblem& problem = args.problem;
  BackwardWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(problem, policy, &plan));
  auto* const base = static_cast<char*>(args.workspace);
  ROWLANE_RETURN_IF_ERROR(sort_pairs({.indices = args.indices,
                                      .index_type = problem.index_type,
                                      .num_indices = problem.num_indices,
                                      .num_rows = problem.num_rows,
                                      .padding_row = problem.padding_row,
                                      .format = policy.pairs,
                                      .unsorted_keys = base + plan.unsorted_keys,
                                      .unsorted_positions = base + plan.unsorted_positions,
                                      .keys = base + plan.keys,
                                      .positions = base + plan.positions,
                                      .temp = base + plan.sort_temp,
                                      .temp_bytes = plan.sort_temp_bytes},
                                     stream));
  return segment_reduce({.keys = base + plan.keys,
                         .positions = base + plan.positions,
                         .wide_pairs = policy.pairs.wide,
                         .grad_output = args.grad_output,
                         .grad_table = args.grad_table,
                         .partials = base + plan.partials,
                         .num_indices = problem.num_indices,
                         .num_rows = problem.num_rows,
                         .dim = problem.dim,
                         .elem_type = problem.elem_type},
                        stream);
}

}  // namespace

Status select_backward_policy(const BackwardProblem& problem, BackwardRequest request,
                              BackwardPolicy* policy) {
  if (request == BackwardRequest::kAtomic) {
    if (problem.elem_type != ElemType::kFloat32 && problem.elem_type != ElemType::kFloat64) {
      return Status::error("the atomic algorithm takes float32 and float64 gradients only");
    }
    *policy = {.algorithm = BackwardAlgorithm::kAtomic, .pairs = {}};
    return {};
  }
  *policy = {.algorithm = BackwardAlgorithm::kSorted,
             .pairs = select_pair_format(problem.num_rows, problem.num_indices)};
  return {};
}

Status plan_backward_workspace(const BackwardProblem& problem, const BackwardPolicy& policy,
                               BackwardWorkspace* workspace) {
  *workspace = {};
  if (policy.algorithm == BackwardAlgorithm::kAtomic || problem.num_indices == 0 ||
      problem.dim == 0) {
    return {};
  }
  constexpr std::int64_t kAlignment = 256;
  std::int64_t offset = 0;
  const auto take = [&offset](std::int64_t bytes) {
    const std::int64_t begin = offset;
    offset += ceil_div(bytes, kAlignment) * kAlignment;
    return begin;
  };
  const std::int64_t list_bytes = problem.num_indices * policy.pairs.value_bytes();
  workspace->unsorted_keys = take(list_bytes);
  workspace->unsorted_positions = take(list_bytes);
  workspace->keys = take(list_bytes);
  workspace->positions = take(list_bytes);
  ROWLANE_RETURN_IF_ERROR(
      sort_pairs_temp_bytes(problem.num_indices, policy.pairs, &workspace->sort_temp_bytes));
  workspace->sort_temp = take(workspace->sort_temp_bytes);
  workspace->partials =
      take(segment_partials_bytes(problem.num_indices, problem.dim, problem.elem_type));
  workspace->total_bytes = offset;
  return {};
}

Status backward(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream) {
  const BackwardProblem& problem = args.problem;
  const std::int64_t table_bytes = problem.num_rows * problem.dim * elem_bytes(problem.elem_type);
  if (table_bytes == 0) {
    return {};
  }
  ROWLANE_RETURN_IF_ERROR(simt::memset_async(args.grad_table, 0, table_bytes, stream));
  if (problem.num_indices == 0) {
    return {};
  }
  return policy.algorithm == BackwardAlgorithm::kAtomic ? backward_atomic(args, stream)
                                                        : backward_sorted(args, policy, stream);
}

}  // namespace rowlane::kernels
