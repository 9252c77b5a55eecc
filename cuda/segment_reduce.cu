// Launcher and instantiations of the segment reduce.
#include <algorithm>

#include "cuda/row_sink.cuh"
#include "cuda/segment_launch.cuh"

namespace rowlane::kernels {

SegmentPolicy select_segment_policy(std::int64_t num_rows, std::int64_t dim,
                                    std::int64_t num_indices, std::int64_t elem_bytes,
                                    RowTarget target, std::uint64_t address_bits, bool wide_pairs) {
  const std::int64_t row_bytes = dim * elem_bytes;
  SegmentPolicy policy;
  policy.vec_bytes = wide_pairs
                         ? static_cast<int>(elem_bytes)
                         : access_bytes(address_bits | static_cast<std::uint64_t>(row_bytes));
  if (target == RowTarget::kStep) {
    policy.vec_bytes = std::min(policy.vec_bytes, static_cast<int>(kStepElems * elem_bytes));
  }
  policy.is_staged = row_bytes < kMinDirectRowBytes &&
                     (target == RowTarget::kDense || target == RowTarget::kCompact);
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
  return lay_out_segments(policy, dim, type).total_bytes;
}

Status segment_reduce(const SegmentReduceArgs& args, const SegmentPolicy& policy, Stream stream) {
  if (args.num_indices == 0 || args.dim == 0) {
    return Status::error("a segment reduce needs indices and columns");
  }
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    auto* const rows = static_cast<ElemT*>(args.rows_out);
    return dispatch_source<ElemT>(args.source, [&](const auto& source) {
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
        case RowTarget::kStep:
          return Status::error("segment_step() is the segment reduce that ends in a step");
      }
      return Status::error("unknown target of a segment reduce");
    });
  });
}

}  // namespace rowlane::kernels
