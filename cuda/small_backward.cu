// Launcher and instantiations of the backward for few indices.
#include <algorithm>
#include <bit>

#include "cuda/dispatch.cuh"
#include "cuda/grad_source.cuh"
#include "cuda/row_sink.cuh"
#include "cuda/small_backward.h"
#include "cuda/small_backward_kernel.cuh"

namespace rowlane::kernels {

SmallPolicy select_small_policy(std::int64_t num_rows, std::int64_t dim, std::int64_t num_indices,
                                std::int64_t elem_bytes, std::uint64_t address_bits) {
  const std::int64_t row_bytes = dim * elem_bytes;
  SmallPolicy policy;
  policy.vec_bytes = access_bytes(address_bits | static_cast<std::uint64_t>(row_bytes));
  policy.is_staged = row_bytes < kMinDirectRowBytes;
  const std::int64_t accesses = row_bytes / policy.vec_bytes;
  const auto split = [&](int log2) {
    policy.lanes_log2 = log2;
    policy.slices = ceil_div(accesses, std::int64_t{1} << log2);
    const std::int64_t longest =
        policy.is_staged ? kMaxTileBytes / row_bytes : std::int64_t{kSmallMaxRows};
    // A block that has all indices in its range then has at most three times the mean work.
    const std::int64_t shortest =
        std::max<std::int64_t>(kBlockThreads >> log2, 5 * num_indices / 8);
    policy.rows_per_range = static_cast<int>(std::clamp(
        ceil_div(num_rows * policy.slices, kSegmentBlocks), std::min(shortest, longest), longest));
    policy.ranges = ceil_div(num_rows, policy.rows_per_range);
  };
  split(lanes_log2(accesses));
  while (policy.lanes_log2 > kMinSegmentLanesLog2 &&
         policy.ranges * policy.slices < kMinSmallBlocks) {
    split(policy.lanes_log2 - 1);
  }
  return policy;
}

namespace {

template <typename ElemT, typename Source>
Status launch_small_backward(const SmallBackwardArgs& args, const SmallPolicy& policy,
                             const Source& source, Stream stream) {
  using Sink = DenseRowSink<ElemT>;
  const std::int64_t row_bytes = args.dim * std::int64_t{sizeof(ElemT)};
  const SmallBackwardKernelArgs<Source, Sink> kernel_args{
      .reduce = {.source = source,
                 .sink = {.grad_table = static_cast<ElemT*>(args.grad_table), .dim = args.dim},
                 .num_rows = args.num_rows,
                 .dim = args.dim,
                 .item_weight = 1,
                 .row_weight = 1,
                 .lanes_log2 = policy.lanes_log2,
                 .slice_accesses =
                     static_cast<int>(ceil_div(row_bytes / policy.vec_bytes, policy.slices)),
                 .scale_by_count = args.scale_by_count,
                 .is_staged = policy.is_staged},
      .indices = args.indices,
      .has_wide_indices = args.index_type == IndexType::kInt64,
      .padding_row = args.padding_row,
      .num_indices = static_cast<int>(args.num_indices),
      .list_size = static_cast<int>(std::bit_ceil(static_cast<std::uint64_t>(args.num_indices))),
      .slices = static_cast<int>(policy.slices),
      .rows_per_range = policy.rows_per_range,
      .report = args.report};
  return dispatch_vec_bytes<sizeof(ElemT)>(policy.vec_bytes, [&]<int kVecBytes>() {
    return simt::launch(
        small_backward_kernel<Source, Sink, kVecBytes / int{sizeof(ElemT)}>,
        {.name = "small_backward_kernel",
         .grid_x = policy.ranges * policy.slices,
         .block_threads = kBlockThreads,
         .dynamic_shared_bytes = std::int64_t{8} * kernel_args.list_size +
                                 (policy.is_staged ? policy.rows_per_range * row_bytes : 0),
         .stream = stream},
        kernel_args);
  });
}

}  // namespace

Status small_backward(const SmallBackwardArgs& args, const SmallPolicy& policy, Stream stream) {
  if (args.num_indices > kSmallMaxIndices) {
    return Status::error("the backward for few indices takes " + std::to_string(kSmallMaxIndices) +
                         " of them, not " + std::to_string(args.num_indices));
  }
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    return dispatch_source<ElemT>(args.source, [&](const auto& source) {
      return launch_small_backward<ElemT>(args, policy, source, stream);
    });
  });
}

}  // namespace rowlane::kernels
