// Launcher and instantiations of the catch-up of rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/dispatch.cuh"
#include "cuda/row_catch_up.h"
#include "cuda/row_catch_up_kernel.cuh"
#include "cuda/sort_pairs.h"

namespace rowlane::kernels {
namespace {

template <typename ElemT, int kElems, typename KeyT>
Status launch_catch_up(const RowCatchUpArgs& args, const void* keys, std::int64_t num_keys,
                       Stream stream) {
  const std::int64_t dim = args.step.target.dim;
  const int log2 = lanes_log2(dim / kElems);
  return simt::launch(row_catch_up_kernel<ElemT, kElems, KeyT>,
                      {.name = "row_catch_up_kernel",
                       .grid_x = ceil_div(num_keys, kBlockThreads >> log2),
                       .block_threads = kBlockThreads,
                       .stream = stream},
                      RowCatchUpKernelArgs<ElemT, KeyT>{.step = make_step_args<ElemT>(args.step),
                                                        .lines = args.lines,
                                                        .num_lines = args.num_lines,
                                                        .last_step = args.last_step,
                                                        .keys = static_cast<const KeyT*>(keys),
                                                        .num_keys = num_keys,
                                                        .lanes_log2 = log2});
}

bool is_empty(const RowCatchUpArgs& args) {
  const StepTarget& target = args.step.target;
  return target.num_rows == 0 || target.dim == 0 || args.num_lines == 0 ||
         (args.indices != nullptr && args.num_indices == 0);
}

}  // namespace

std::vector<CatchUpLine> catch_up_lines(const RowStep& step,
                                        const std::vector<StepNumbers>& numbers,
                                        std::int64_t last_step) {
  std::vector<CatchUpLine> lines;
  const bool is_amsgrad = num_element_states(step) > 2;
  double largest_lr = 0;
  for (std::size_t i = numbers.size(); i-- > 0;) {
    const StepNumbers& line = numbers[i];
    const std::int64_t end = i + 1 < numbers.size() ? numbers[i + 1].step : last_step + 1;
    // An m that decays slower than the root of v, a gradient, or another eps may change w again.
    const bool shrinks = line.beta1 <= (is_amsgrad ? 1 : std::sqrt(line.beta2)) &&
                         (line.is_decoupled || line.weight_decay == 0) &&
                         (i + 1 == numbers.size() || numbers[i + 1].eps == line.eps);
    largest_lr =
        shrinks ? std::max(largest_lr, std::abs(line.lr)) : std::numeric_limits<double>::infinity();
    if (line.step <= last_step) {
      lines.push_back({.begin = line.step,
                       .end = std::min(end, last_step + 1),
                       .lr = line.lr,
                       .weight_decay = line.weight_decay,
                       .beta1 = line.beta1,
                       .beta2 = line.beta2,
                       .eps = line.eps,
                       .largest_lr = largest_lr,
                       .is_decoupled = static_cast<std::int32_t>(line.is_decoupled),
                       .is_nesterov = static_cast<std::int32_t>(line.is_nesterov)});
    }
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

Status row_catch_up_workspace_bytes(const RowCatchUpArgs& args, std::int64_t* bytes) {
  *bytes = 0;
  if (args.indices == nullptr || is_empty(args)) {
    return {};
  }
  SortWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_sort_workspace(
      args.num_indices, select_pair_format(args.step.target.num_rows, args.num_indices), &plan));
  *bytes = plan.total_bytes;
  return {};
}

Status row_catch_up(const RowCatchUpArgs& args, Stream stream) {
  const StepTarget& target = args.step.target;
  if (!rule_traits(args.step.rule).has_dense_equivalent) {
    return Status::error("rows are brought up to date by SGD, Adagrad or Adam");
  }
  if (is_empty(args)) {
    return {};
  }
  SortPairsArgs sort{.indices = args.indices,
                     .index_type = args.index_type,
                     .num_indices = args.num_indices,
                     .num_rows = target.num_rows,
                     .format = select_pair_format(target.num_rows, args.num_indices),
                     .report = args.report};
  std::int64_t num_keys = target.num_rows;
  if (args.indices != nullptr) {
    SortWorkspace plan;
    ROWLANE_RETURN_IF_ERROR(plan_sort_workspace(args.num_indices, sort.format, &plan));
    place_in_workspace(plan, args.workspace, &sort);
    ROWLANE_RETURN_IF_ERROR(sort_pairs(sort, stream));
    num_keys = args.num_indices;
  }
  return dispatch_elem(target.elem_type, [&]<typename ElemT>() {
    // Pairs of 64 bits are for more than four billion indices or rows; they take one element at a
    // time.
    if (args.indices != nullptr && sort.format.wide) {
      return launch_catch_up<ElemT, 1, std::uint64_t>(args, sort.keys, num_keys, stream);
    }
    // States of four elements are in registers beside what is replayed.
    const int vec_bytes =
        std::min(access_bytes(step_address_bits(args.step) |
                              static_cast<std::uint64_t>(target.dim * std::int64_t{sizeof(ElemT)})),
                 kStepElems * int{sizeof(ElemT)});
    constexpr int kMaxVecBytes = std::min(16, kStepElems * int{sizeof(ElemT)});
    return dispatch_vec_bytes<sizeof(ElemT), kMaxVecBytes>(vec_bytes, [&]<int kVecBytes>() {
      return launch_catch_up<ElemT, kVecBytes / int{sizeof(ElemT)}, std::uint32_t>(
          args, sort.keys, num_keys, stream);
    });
  });
}

}  // namespace rowlane::kernels
