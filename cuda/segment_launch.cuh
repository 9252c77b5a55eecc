// How a segment reduce into a sink is launched, for the files that instantiate its kernels.
#pragma once

#include <algorithm>

#include "cuda/dispatch.cuh"
#include "cuda/grad_source.cuh"
#include "cuda/segment_reduce.h"
#include "cuda/segment_reduce_kernel.cuh"
#include "cuda/workspace.h"

namespace rowlane::kernels {

// Where each part of the workspace starts, in bytes, and its size.
struct SegmentLayout {
  std::int64_t partials;
  std::int64_t edges;
  std::int64_t share_runs;
  std::int64_t total_bytes;
};

inline SegmentLayout lay_out_segments(const SegmentPolicy& policy, std::int64_t dim,
                                      ElemType type) {
  WorkspaceLayout layout;
  SegmentLayout parts{};
  parts.partials = layout.take(policy.shares * 2 * dim * accum_bytes(type));
  parts.edges = layout.take(policy.shares * std::int64_t{sizeof(ShareEdges)});
  parts.share_runs = layout.take(policy.shares * std::int64_t{4});
  parts.total_bytes = layout.total_bytes();
  return parts;
}

template <typename Source, typename Sink, typename KeyT>
Status reduce_as(const SegmentReduceArgs& args, const SegmentPolicy& policy, const Source& source,
                 const Sink& sink, Stream stream) {
  using Elem = Sink::Elem;
  using AccumT = simt::Accum<Elem>;
  const SegmentLayout layout = lay_out_segments(policy, args.dim, args.elem_type);
  auto* const base = static_cast<char*>(args.workspace);
  const std::int64_t row_bytes = args.dim * std::int64_t{sizeof(Elem)};
  const SegmentReduceKernelArgs<Source, Sink, KeyT> kernel_args{
      .reduce = {.source = source,
                 .sink = sink,
                 .num_rows = args.num_rows,
                 .dim = args.dim,
                 .item_weight = policy.item_weight,
                 .row_weight = policy.row_weight,
                 .lanes_log2 = policy.lanes_log2,
                 .slice_accesses =
                     static_cast<int>(ceil_div(row_bytes / policy.vec_bytes, policy.slices)),
                 .scale_by_count = args.scale_by_count,
                 .is_staged = policy.is_staged},
      // One row more, for the indices to skip.
      .path = {.keys = static_cast<const KeyT*>(args.keys),
               .num_items = args.num_indices,
               .num_rows = args.num_rows + 1,
               .item_weight = policy.item_weight,
               .row_weight = policy.row_weight},
      .positions = static_cast<const KeyT*>(args.positions),
      .partials = reinterpret_cast<AccumT*>(base + layout.partials),
      .edges = reinterpret_cast<ShareEdges*>(base + layout.edges),
      .share_runs = reinterpret_cast<std::int32_t*>(base + layout.share_runs),
      .num_slots = args.num_slots,
      .num_shares = policy.shares,
      .slices = static_cast<int>(policy.slices),
      .share = policy.share,
      .capacity = policy.capacity};
  if constexpr (Sink::kRanked) {
    ROWLANE_RETURN_IF_ERROR(simt::launch(count_runs_kernel<KeyT>,
                                         {.name = "count_runs_kernel",
                                          .grid_x = policy.shares,
                                          .block_threads = kBlockThreads,
                                          .stream = stream},
                                         kernel_args.path, kernel_args.share_runs, policy.share));
  }
  const simt::LaunchConfig config{
      .name = "segment_reduce_kernel",
      .grid_x = policy.shares * policy.slices,
      .block_threads = kBlockThreads,
      .dynamic_shared_bytes =
          std::int64_t{2} * policy.capacity * std::int64_t{sizeof(KeyT)} +
          (policy.is_staged ? (policy.share / std::max(policy.row_weight, 1) + 2) * row_bytes : 0),
      .stream = stream};
  // Pairs of 64 bits are for more than four billion indices or rows; they take one element at a
  // time.
  constexpr int kMostElems = sizeof(KeyT) == 8 ? 1 : Sink::kDefersStores ? kStepElems : 16;
  constexpr int kMaxVecBytes = std::min(16, kMostElems * int{sizeof(Elem)});
  ROWLANE_RETURN_IF_ERROR(
      (dispatch_vec_bytes<sizeof(Elem), kMaxVecBytes>(policy.vec_bytes, [&]<int kVecBytes>() {
        return simt::launch(
            segment_reduce_kernel<Source, Sink, kVecBytes / int{sizeof(Elem)}, KeyT>, config,
            kernel_args);
      })));
  if (policy.shares == 1) {
    return {};
  }
  return simt::launch(segment_combine_kernel<Source, Sink, KeyT>,
                      {.name = "segment_combine_kernel",
                       .grid_x = ceil_div(policy.shares, kCombineShares),
                       .grid_y = ceil_div(args.dim, std::int64_t{simt::kWarpSize}),
                       .block_threads = kCombineThreads,
                       .stream = stream},
                      kernel_args);
}

template <typename Source, typename Sink>
Status reduce_into(const SegmentReduceArgs& args, const SegmentPolicy& policy, const Source& source,
                   const Sink& sink, Stream stream) {
  return args.wide_pairs
             ? reduce_as<Source, Sink, std::uint64_t>(args, policy, source, sink, stream)
             : reduce_as<Source, Sink, std::uint32_t>(args, policy, source, sink, stream);
}

}  // namespace rowlane::kernels
