// Launcher and instantiations of the segment reduce.
#include <algorithm>

#include "cuda/dispatch.cuh"
#include "cuda/grad_source.cuh"
#include "cuda/row_sink.cuh"
#include "cuda/segment_reduce.h"
#include "cuda/segment_reduce_kernel.cuh"

namespace rowlane::kernels {
namespace {

constexpr std::int64_t kAlignment = 256;

struct Layout {
  std::int64_t partials;
  std::int64_t edges;
  std::int64_t share_runs;
  std::int64_t total_bytes;
};

Layout lay_out(const SegmentPolicy& policy, std::int64_t dim, ElemType type) {
  const auto aligned = [](std::int64_t bytes) { return ceil_div(bytes, kAlignment) * kAlignment; };
  Layout layout{};
  layout.edges = aligned(policy.shares * 2 * dim * accum_bytes(type));
  layout.share_runs = layout.edges + aligned(policy.shares * std::int64_t{sizeof(ShareEdges)});
  layout.total_bytes = layout.share_runs + aligned(policy.shares * std::int64_t{4});
  return layout;
}

template <typename Source, typename Sink, typename KeyT>
Status reduce_as(const SegmentReduceArgs& args, const SegmentPolicy& policy, const Source& source,
                 const Sink& sink, Stream stream) {
  using Elem = Sink::Elem;
  using AccumT = simt::Accum<Elem>;
  const Layout layout = lay_out(policy, args.dim, args.elem_type);
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
  constexpr int kMaxVecBytes = sizeof(KeyT) == 8 ? int{sizeof(Elem)} : 16;
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

}  // namespace

SegmentPolicy select_segment_policy(std::int64_t num_rows, std::int64_t dim,
                                    std::int64_t num_indices, std::int64_t elem_bytes,
                                    RowTarget target, std::uint64_t address_bits, bool wide_pairs) {
  const std::int64_t row_bytes = dim * elem_bytes;
  SegmentPolicy policy;
  policy.vec_bytes = wide_pairs
                         ? static_cast<int>(elem_bytes)
                         : access_bytes(address_bits | static_cast<std::uint64_t>(row_bytes));
  policy.is_staged = row_bytes < kMinDirectRowBytes && target != RowTarget::kAdd;
  if (target != RowTarget::kDense) {
    policy.row_weight = 0;
  } else if (policy.is_staged) {
    policy.item_weight = 4;  // a gradient costs a sector, a staged row's end a few bytes
  }
  const std::int64_t length = policy.item_weight * num_indices + policy.row_weight * (num_rows + 1);

  const std::int64_t accesses = ceil_div(row_bytes, policy.vec_bytes);
  const auto split = [&](int log2) {
    policy.lanes_log2 = log2;
    policy.slices = ceil_div(accesses, std::int64_t{1} << log2);
    // Each worker gets a few items.
    const std::int64_t shortest =
        std::int64_t{kSegmentRowsInFlight} * (kBlockThreads >> log2) * policy.item_weight;
    std::int64_t longest = kMaxShare;
    if (policy.is_staged) {
      longest = std::min(longest, std::max(policy.row_weight, 1) * (kMaxTileBytes / row_bytes));
    }
    policy.share = static_cast<int>(std::clamp(ceil_div(length * policy.slices, kSegmentBlocks),
                                               std::min(shortest, longest), longest));
    policy.shares = std::max<std::int64_t>(1, ceil_div(length, policy.share));
  };
  split(lanes_log2(accesses));
  while (policy.lanes_log2 > kMinSegmentLanesLog2 && policy.share < kGoodShare) {
    split(policy.lanes_log2 - 1);
  }
  policy.capacity = policy.share / policy.item_weight + (kMaxShareItems - kMaxShare);
  return policy;
}

std::int64_t segment_workspace_bytes(const SegmentPolicy& policy, std::int64_t dim, ElemType type) {
  return lay_out(policy, dim, type).total_bytes;
}

Status segment_reduce(const SegmentReduceArgs& args, const SegmentPolicy& policy, Stream stream) {
  if (args.num_indices == 0 || args.dim == 0) {
    return Status::error("a segment reduce needs indices and columns");
  }
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    const LookupGradSource<ElemT> source{.grad_output = static_cast<const ElemT*>(args.grad_output),
                                         .row_stride = args.grad_row_stride};
    auto* const rows = static_cast<ElemT*>(args.rows_out);
    switch (args.target) {
      case RowTarget::kDense:
        return reduce_into(args, policy, source,
                           DenseRowSink<ElemT>{.grad_table = rows, .dim = args.dim}, stream);
      case RowTarget::kAdd:
        return reduce_into(args, policy, source,
                           AddingRowSink<ElemT>{.grad_table = rows, .dim = args.dim}, stream);
      case RowTarget::kCompact:
        return reduce_into(
            args, policy, source,
            CompactRowSink<ElemT>{.rows = args.row_numbers, .values = rows, .dim = args.dim},
            stream);
    }
    return Status::error("unknown target of a segment reduce");
  });
}

}  // namespace rowlane::kernels
