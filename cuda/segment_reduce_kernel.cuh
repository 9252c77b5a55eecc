// Device bodies of the segment reduce.
#pragma once

#include "cuda/block_reduce.cuh"
#include "cuda/merge_path.cuh"
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// What a block knows of the runs that cross its share's edges.
struct ShareEdges {
  std::int64_t tail_row;   // the row of the partial that goes on after the share, -1 for none
  std::int64_t tail_slot;  // its slot
  std::int64_t tail_item;  // where the run begins, or the share
  std::int64_t head_item;  // where the run from before ends; -1 if not in this share
};

template <typename Source, typename Sink, typename KeyT>
struct SegmentReduceKernelArgs {
  using AccumT = simt::Accum<typename Sink::Elem>;
  ReduceArgs<Source, Sink> reduce;
  MergePath<KeyT> path;
  const KeyT* __restrict__ positions;  // [num_items]
  AccumT* __restrict__ partials;       // [num_shares, 2, dim]
  ShareEdges* __restrict__ edges;      // [num_shares]
  // For ranked sinks only: the runs that begin in each share [num_shares], and how many rows there
  // are.
  std::int32_t* __restrict__ share_runs;
  std::int64_t* __restrict__ num_slots;
  std::int64_t num_shares;
  int slices;    // blocks that sum a share, each a slice of its rows' columns
  int share;     // length of a share's path
  int capacity;  // items that a share may have
};

// Where a block's share begins and ends; the first two warps search.
template <typename KeyT>
struct ShareCuts {
  static ROWLANE_DEVICE simt::Shared<std::int64_t> cuts() {
    return simt::shared<struct Cuts, std::int64_t, 6>();
  }
  static ROWLANE_DEVICE void find(const MergePath<KeyT>& path, std::int64_t begin, int length) {
    const int warp = simt::warp_id();
    if (warp < 2) {
      const PathCut cut = path.cut(begin + static_cast<std::int64_t>(warp) * length);
      if (simt::lane_id() == 0) {
        cuts().store(3 * warp, cut.item);
        cuts().store(3 * warp + 1, cut.row);
        cuts().store(3 * warp + 2, static_cast<std::int64_t>(cut.inside_run));
      }
    }
  }
  static ROWLANE_DEVICE PathCut load(int which) {
    return {cuts().load(3 * which), cuts().load(3 * which + 1), cuts().load(3 * which + 2) != 0};
  }
};

// Sum over a warp, in all of its lanes.
template <typename T>
ROWLANE_DEVICE T warp_sum(T value) {
  ROWLANE_UNROLL
  for (int step = simt::kWarpSize / 2; step > 0; step /= 2) {
    value += simt::shfl_xor(simt::kFullMask, value, step);
  }
  return value;
}

// Counts the runs that begin in each share. One block per share; writes its own number. Shared
// memory: the share's cuts, a number per warp.
template <typename KeyT>
__global__ void __launch_bounds__(kBlockThreads)
    count_runs_kernel(MergePath<KeyT> path, std::int32_t* __restrict__ share_runs, int share) {
  const auto warp_runs =
      simt::shared<struct WarpRuns, std::int32_t, kBlockThreads / simt::kWarpSize>();
  ShareCuts<KeyT>::find(path, simt::block_id() * share, share);
  simt::sync_block();
  const std::int64_t end = ShareCuts<KeyT>::load(1).item;
  std::int32_t runs = 0;
  for (std::int64_t i = ShareCuts<KeyT>::load(0).item + simt::thread_id(); i < end;
       i += kBlockThreads) {
    runs += static_cast<std::int32_t>(i == 0 || simt::load_nc(path.keys + i - 1) !=
                                                    simt::load_nc(path.keys + i));
  }
  runs = warp_sum(runs);
  if (simt::lane_id() == 0) {
    warp_runs.store(simt::warp_id(), runs);
  }
  simt::sync_block();
  if (simt::thread_id() == 0) {
    std::int32_t total = 0;
    for (int w = 0; w < kBlockThreads / simt::kWarpSize; ++w) {
      total += warp_runs.load(w);
    }
    simt::store(share_runs + simt::block_id(), total);
  }
}

// Sums a slice of the columns of a share of the merge path per block; the slices of a share are
// neighbours, so that a sector that two of them write to stays in L2. Shared memory: the share's
// keys and positions, and what BlockReduce needs. No atomics; a block writes the rows that
// it finishes, its partials and its edges.
template <typename Source, typename Sink, int kElems, typename KeyT>
__global__ void __launch_bounds__(
    kBlockThreads, segment_blocks_per_sm(kElems, int{sizeof(simt::Accum<typename Sink::Elem>)},
                                         int{sizeof(KeyT)}, Sink::kDefersStores))
    segment_reduce_kernel(SegmentReduceKernelArgs<Source, Sink, KeyT> args) {
  using Elem = Sink::Elem;
  const int thread = simt::thread_id();
  const std::int64_t which = simt::block_id() / args.slices;
  const auto slice = static_cast<int>(simt::block_id() % args.slices);
  const auto runs_before = simt::shared<struct RunsBefore, std::int64_t, 1>();
  const auto keys = simt::shared_dynamic<KeyT>();
  const auto positions = simt::shared_dynamic<KeyT>(args.capacity * static_cast<int>(sizeof(KeyT)));
  const auto tile = simt::shared_dynamic<Elem>(2 * args.capacity * static_cast<int>(sizeof(KeyT)));

  const std::int64_t path_begin = which * args.share;
  ShareCuts<KeyT>::find(args.path, path_begin, args.share);
  if constexpr (Sink::kRanked) {
    if (simt::warp_id() == 2) {
      std::int64_t runs = 0;
      for (std::int64_t b = simt::lane_id(); b < which; b += simt::kWarpSize) {
        runs += simt::load_nc(args.share_runs + b);
      }
      runs = warp_sum(runs);
      if (simt::lane_id() == 0) {
        runs_before.store(0, runs);
      }
    }
  }
  simt::sync_block();
  const PathCut begin = ShareCuts<KeyT>::load(0);
  const PathCut end = ShareCuts<KeyT>::load(1);
  const int items = static_cast<int>(end.item - begin.item);
  for (int i = thread; i < items; i += kBlockThreads) {
    keys.store(i, simt::load_nc(args.path.keys + begin.item + i));
    positions.store(i, simt::load_nc(args.positions + begin.item + i));
  }
  simt::sync_block();

  BlockShare<KeyT> share{.items = items,
                         .first_row = static_cast<KeyT>(begin.row),
                         .end_row = static_cast<KeyT>(end.row),
                         .continues = begin.inside_run,
                         .continued = end.inside_run};
  if constexpr (Sink::kFillsEmptyRows) {
    const std::int64_t path_end =
        path_begin + args.share < args.path.length() ? path_begin + args.share : args.path.length();
    share.path_length = static_cast<int>(path_end - path_begin);
    share.path_begin = static_cast<int>(args.path.item_weight * begin.item +
                                        args.path.row_weight * begin.row - path_begin);
  } else {
    if (items > 0) {
      share.first_row = keys.load(0);
      share.end_row = keys.load(items - 1) + static_cast<KeyT>(!end.inside_run);
    }
    share.path_length = items * args.path.item_weight;
    share.path_begin = 0;
  }
  const BlockReduce<Source, Sink, kElems, KeyT> reduce{
      {.args = args.reduce, .share = share, .keys = keys},
      positions,
      tile,
      slice,
      args.partials,
      static_cast<int>(which)};
  if constexpr (Sink::kRanked) {
    reduce.find_run_begins();
    const int runs = items > 0 ? reduce.runs_until(items - 1) : 0;
    // The last run may be of indices to skip. It is in an earlier share when this one has no items.
    const bool skips_last = items > 0 && share.end_row > static_cast<KeyT>(args.reduce.num_rows);
    share.first_rank = runs_before.load(0) - static_cast<int>(share.continues);
    share.end_rank =
        share.first_rank + runs + static_cast<int>(items > 0 && !share.continued && !skips_last);
    if (thread == 0 && slice == 0 && which + 1 == args.num_shares) {
      const bool skipped_before =
          items == 0 && !reduce.is_row(simt::load_nc(args.path.keys + args.path.num_items - 1));
      simt::store(args.num_slots, share.end_rank - static_cast<int>(skipped_before));
    }
  }
  if (thread == 0 && slice == 0) {
    const bool has_tail = share.continued && !share.is_inside_run() && reduce.is_row(share.end_row);
    ShareEdges* const edges = args.edges + which;
    simt::store(&edges->tail_row, has_tail ? static_cast<std::int64_t>(share.end_row) : -1);
    simt::store(&edges->tail_slot, reduce.end_slot());
    simt::store(&edges->tail_item, has_tail ? begin.item + reduce.lower_bound(share.end_row) : 0);
    simt::store(&edges->head_item,
                share.is_inside_run() ? -1 : begin.item + reduce.lower_bound(share.first_row + 1));
  }
  reduce.run();
}

// Finishes the rows whose run crosses a share's edge. A block looks at the edges of kCombineShares
// shares, and at 32 columns (grid y); for each partial that goes on after its share, it adds what
// follows in order: one warp if that is short, else the whole block, each warp a piece. Shared
// memory: the lengths of the chains, a sum per thread. No atomics; a row is written by the block at
// whose share's end its run first crosses.
template <typename Source, typename Sink, typename KeyT>
__global__ void __launch_bounds__(kCombineThreads)
    segment_combine_kernel(SegmentReduceKernelArgs<Source, Sink, KeyT> args) {
  using AccumT = simt::Accum<typename Sink::Elem>;
  constexpr int kWarps = kCombineThreads / simt::kWarpSize;
  const auto lengths = simt::shared<struct ChainLengths, int, kCombineShares>();
  const auto warp_ends = simt::shared<struct WarpEnds, int, kWarps>();
  const auto sums = simt::shared<struct WarpSums, AccumT, kCombineThreads>();
  const int thread = simt::thread_id();
  const int lane = simt::lane_id();
  const int warp = simt::warp_id();
  const std::int64_t dim = args.reduce.dim;
  const std::int64_t column =
      static_cast<std::int64_t>(simt::block_id_y()) * simt::kWarpSize + lane;
  const bool is_active = column < dim;
  const std::int64_t first = simt::block_id() * kCombineShares;

  // The sum of the first partials of shares [begin, end), in order.
  const auto sum_heads = [&](std::int64_t begin, std::int64_t end) {
    AccumT sum = 0;
    for (std::int64_t b = begin; b < end; b += kCombineInFlight) {
      AccumT head[kCombineInFlight];
      ROWLANE_UNROLL
      for (int k = 0; k < kCombineInFlight; ++k) {
        head[k] = b + k < end && is_active
                      ? simt::load_nc(args.partials + (b + k) * 2 * dim + column)
                      : AccumT{0};
      }
      ROWLANE_UNROLL
      for (int k = 0; k < kCombineInFlight; ++k) {
        sum += head[k];
      }
    }
    return sum;
  };
  // The row at whose end is share `b`, with its last share and the sum of its heads.
  const auto finish = [&](std::int64_t b, std::int64_t last, AccumT heads) {
    if (is_active) {
      AccumT sum[1] = {simt::load_nc(args.partials + (b * 2 + 1) * dim + column) + heads};
      if (args.reduce.scale_by_count) {
        sum[0] /= static_cast<AccumT>(simt::load_nc(&(args.edges + last)->head_item) -
                                      simt::load_nc(&(args.edges + b)->tail_item));
      }
      args.reduce.sink.store(simt::load_nc(&(args.edges + b)->tail_slot),
                             simt::load_nc(&(args.edges + b)->tail_row), column, sum);
    }
  };
  const auto is_last = [&](std::int64_t b) {
    return b >= args.num_shares || simt::load_nc(&(args.edges + b)->head_item) >= 0;
  };

  for (int i = warp; i < kCombineShares; i += kWarps) {
    const std::int64_t b = first + i;
    const bool has_tail =
        b + 1 < args.num_shares && simt::load_nc(&(args.edges + b)->tail_row) >= 0;
    int length = 0;  // shares that the row goes on in
    if (has_tail) {
      const std::uint32_t ends = simt::ballot(simt::kFullMask, is_last(b + 1 + lane));
      length = ends != 0 ? simt::ffs(ends) : simt::kWarpSize + 1;
      if (length <= kCombineShort) {
        finish(b, b + length, sum_heads(b + 1, b + 1 + length));
      }
    }
    if (lane == 0) {
      lengths.store(i, length);
    }
  }
  simt::sync_block();

  for (int i = 0; i < kCombineShares; ++i) {
    if (lengths.load(i) <= kCombineShort) {
      continue;
    }
    const std::int64_t begin = first + i + 1;
    std::int64_t last = begin;
    for (bool found = false; !found;) {
      const std::uint32_t ends = simt::ballot(simt::kFullMask, is_last(last + thread));
      if (lane == 0) {
        warp_ends.store(warp, ends != 0 ? simt::ffs(ends) - 1 : simt::kWarpSize);
      }
      simt::sync_block();
      for (int w = 0; w < kWarps && !found; ++w) {
        const int end = warp_ends.load(w);
        last += end;
        found = end < simt::kWarpSize;
      }
      simt::sync_block();
    }
    const std::int64_t end = last + 1;
    const std::int64_t piece = (end - begin + kWarps - 1) / kWarps;
    const std::int64_t piece_begin = begin + warp * piece < end ? begin + warp * piece : end;
    const std::int64_t piece_end = piece_begin + piece < end ? piece_begin + piece : end;
    sums.store(thread, sum_heads(piece_begin, piece_end));
    simt::sync_block();
    if (warp == 0) {
      AccumT heads = 0;
      for (int w = 0; w < kWarps; ++w) {
        heads += sums.load(w * simt::kWarpSize + lane);
      }
      finish(first + i, last, heads);
    }
    simt::sync_block();
  }
}

}  // namespace rowlane::kernels
