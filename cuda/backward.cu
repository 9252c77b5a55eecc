// The backward's algorithm choice, workspace and sequence of launches.
#include "cuda/backward.h"
#include "cuda/policy.h"
#include "cuda/scatter_atomic.h"
#include "cuda/segment_reduce.h"
#include "cuda/segment_step.h"
#include "cuda/simt/runtime.cuh"
#include "cuda/small_backward.h"

namespace rowlane::kernels {
namespace {

// With its stride.
GradSourceArgs source_of(const BackwardProblem& problem) {
  return {.grad_output = problem.source.grad_output,
          .row_stride = problem.source.stride(problem.dim)};
}

Status fill_zero(const BackwardArgs& args, Stream stream) {
  const BackwardProblem& problem = args.problem;
  return simt::memset_async(args.rows_out, 0,
                            problem.num_rows * problem.dim * elem_bytes(problem.elem_type), stream);
}

Status backward_atomic(const BackwardArgs& args, Stream stream) {
  const BackwardProblem& problem = args.problem;
  if (problem.target == RowTarget::kDense) {
    ROWLANE_RETURN_IF_ERROR(fill_zero(args, stream));
  }
  return scatter_atomic({.source = source_of(problem),
                         .indices = args.indices,
                         .grad_table = args.rows_out,
                         .num_rows = problem.num_rows,
                         .dim = problem.dim,
                         .num_indices = problem.num_indices,
                         .padding_row = problem.padding_row,
                         .elem_type = problem.elem_type,
                         .index_type = problem.index_type,
                         .report = args.report},
                        stream);
}

Status backward_sorted(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream) {
  const BackwardProblem& problem = args.problem;
  BackwardWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(problem, policy, &plan));
  SortPairsArgs sort{.indices = args.indices,
                     .index_type = problem.index_type,
                     .num_indices = problem.num_indices,
                     .num_rows = problem.num_rows,
                     .padding_row = problem.padding_row,
                     .format = policy.pairs,
                     .report = args.report};
  place_in_workspace(plan.sort, args.workspace, &sort);
  ROWLANE_RETURN_IF_ERROR(sort_pairs(sort, stream));
  const SegmentReduceArgs reduce{.keys = sort.keys,
                                 .positions = sort.positions,
                                 .wide_pairs = policy.pairs.wide,
                                 .source = source_of(problem),
                                 .target = problem.target,
                                 .rows_out = args.rows_out,
                                 .row_numbers = args.row_numbers,
                                 .num_slots = args.num_slots,
                                 .workspace = static_cast<char*>(args.workspace) + plan.segments,
                                 .num_indices = problem.num_indices,
                                 .num_rows = problem.num_rows,
                                 .dim = problem.dim,
                                 .elem_type = problem.elem_type,
                                 .scale_by_count = problem.scale_by_count};
  return problem.target == RowTarget::kStep
             ? segment_step(reduce, *args.step, policy.segments, stream)
             : segment_reduce(reduce, policy.segments, stream);
}

Status backward_small(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream) {
  const BackwardProblem& problem = args.problem;
  return small_backward({.indices = args.indices,
                         .index_type = problem.index_type,
                         .source = source_of(problem),
                         .grad_table = args.rows_out,
                         .num_indices = problem.num_indices,
                         .num_rows = problem.num_rows,
                         .dim = problem.dim,
                         .padding_row = problem.padding_row,
                         .elem_type = problem.elem_type,
                         .scale_by_count = problem.scale_by_count,
                         .report = args.report},
                        policy.small, stream);
}

bool fits_small(const BackwardProblem& problem) {
  return problem.target == RowTarget::kDense && problem.num_indices <= kSmallMaxIndices &&
         !select_pair_format(problem.num_rows, problem.num_indices).wide;
}

}  // namespace

Status select_backward_policy(const BackwardProblem& problem, BackwardRequest request,
                              BackwardPolicy* policy, const Tuning& tuning) {
  *policy = {};
  if (request == BackwardRequest::kAtomic) {
    if (problem.elem_type != ElemType::kFloat32 && problem.elem_type != ElemType::kFloat64) {
      return Status::error("the atomic algorithm takes float32 and float64 gradients only");
    }
    if (problem.target == RowTarget::kCompact || problem.scale_by_count) {
      return Status::error(
          "the atomic algorithm makes neither row gradients nor gradients scaled by frequency");
    }
    if (problem.target == RowTarget::kStep) {
      return Status::error("the atomic algorithm takes no steps");
    }
    policy->algorithm = ChosenBackward::kAtomic;
    return {};
  }
  const std::int64_t bytes = elem_bytes(problem.elem_type);
  const std::uint64_t address_bits =
      problem.address_bits | static_cast<std::uint64_t>(problem.source.stride(problem.dim) * bytes);
  if (request == BackwardRequest::kSmall && !fits_small(problem)) {
    return Status::error("the small algorithm makes dense gradients of at most " +
                         std::to_string(kSmallMaxIndices) + " indices");
  }
  if (request == BackwardRequest::kSmall ||
      (request == BackwardRequest::kAuto && fits_small(problem) &&
       problem.num_indices <= tuning.small_max_indices)) {
    policy->algorithm = ChosenBackward::kSmall;
    if (problem.dim > 0) {
      policy->small = select_small_policy(problem.num_rows, problem.dim, problem.num_indices, bytes,
                                          address_bits);
    }
    return {};
  }
  policy->algorithm = ChosenBackward::kSorted;
  policy->pairs = select_pair_format(problem.num_rows, problem.num_indices, tuning);
  if (problem.dim > 0) {
    policy->segments =
        select_segment_policy(problem.num_rows, problem.dim, problem.num_indices, bytes,
                              problem.target, address_bits, policy->pairs.wide);
  }
  return {};
}

Status plan_backward_workspace(const BackwardProblem& problem, const BackwardPolicy& policy,
                               BackwardWorkspace* workspace) {
  *workspace = {};
  if (policy.algorithm != ChosenBackward::kSorted || problem.num_indices == 0 || problem.dim == 0) {
    return {};
  }
  ROWLANE_RETURN_IF_ERROR(plan_sort_workspace(problem.num_indices, policy.pairs, &workspace->sort));
  workspace->segments = workspace->sort.total_bytes;
  workspace->total_bytes = workspace->segments +
                           segment_workspace_bytes(policy.segments, problem.dim, problem.elem_type);
  return {};
}

Status backward(const BackwardArgs& args, const BackwardPolicy& policy, Stream stream) {
  const BackwardProblem& problem = args.problem;
  if (problem.num_rows * problem.dim == 0 || problem.num_indices == 0) {
    if (problem.target == RowTarget::kCompact) {
      return simt::memset_async(args.num_slots, 0, sizeof(std::int64_t), stream);
    }
    return problem.target == RowTarget::kDense && problem.num_rows * problem.dim > 0
               ? fill_zero(args, stream)
               : Status{};
  }
  switch (policy.algorithm) {
    case ChosenBackward::kAtomic:
      return backward_atomic(args, stream);
    case ChosenBackward::kSorted:
      return backward_sorted(args, policy, stream);
    case ChosenBackward::kSmall:
      return backward_small(args, policy, stream);
  }
  return Status::error("unknown algorithm of the backward");
}

}  // namespace rowlane::kernels
