// Device bodies of the segment reduce.
#pragma once

#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <typename ElemT, typename KeyT>
struct SegmentReduceKernelArgs {
  using AccumT = simt::Accum<ElemT>;
  const KeyT* __restrict__ keys;          // [num_indices], ascending
  const KeyT* __restrict__ positions;     // [num_indices]
  const ElemT* __restrict__ grad_output;  // [num_indices, dim]
  ElemT* __restrict__ grad_table;         // [num_rows, dim]
  AccumT* __restrict__ partials;  // [num_tiles, 2, dim]: run from the tile before, run into the
                                  // tile after
  std::int64_t num_indices;
  std::int64_t num_rows;
  std::int64_t dim;
};

inline constexpr int kSegmentWarps = kBlockThreads / simt::kWarpSize;

// Sums items [begin, end) of a tile, in order, for kElems neighbouring elements of a row, starting
// at column.
template <typename ElemT, int kElems, typename KeyT>
ROWLANE_DEVICE void sum_run(const SegmentReduceKernelArgs<ElemT, KeyT>& args,
                            std::int64_t tile_begin, int begin, int end, std::int64_t column,
                            simt::Accum<ElemT> (&sum)[kElems]) {
  const bool active = column < args.dim;
  for (int base = begin; base < end; base += simt::kWarpSize) {
    const int lane_item = base + simt::lane_id();
    const KeyT lane_position =
        lane_item < end ? simt::load_nc(args.positions + tile_begin + lane_item) : KeyT{};
    const int count = end - base < simt::kWarpSize ? end - base : simt::kWarpSize;
    for (int i = 0; i < count; i += kSegmentRowsInFlight) {
      simt::Vec<ElemT, kElems> grad[kSegmentRowsInFlight];
      ROWLANE_UNROLL
      for (int k = 0; k < kSegmentRowsInFlight; ++k) {
        const auto position = static_cast<std::int64_t>(
            simt::shfl(simt::kFullMask, lane_position, (i + k) & (simt::kWarpSize - 1)));
        if (active && i + k < count) {
          grad[k] = simt::load_nc<simt::Hint::kEvictFirst>(
              reinterpret_cast<const simt::Vec<ElemT, kElems>*>(args.grad_output +
                                                                position * args.dim + column));
        }
      }
      ROWLANE_UNROLL
      for (int k = 0; k < kSegmentRowsInFlight; ++k) {
        if (active && i + k < count) {
          ROWLANE_UNROLL
          for (int e = 0; e < kElems; ++e) {
            sum[e] += simt::to_accum(grad[k].v[e]);
          }
        }
      }
    }
  }
}

// Sums the runs of one tile of kSegmentTile sorted positions per block. The block finds the runs'
// heads with a ballot per warp; then each warp owns (run, slice) pairs, a slice being 32 * kElems
// neighbouring elements of the row, and sums the run's gradient rows in order. A run inside the
// tile is stored to the table; one that touches the tile's edge and goes on there leaves its sum in
// the tile's partials. Shared memory: the tile's keys with a neighbour on each side, the heads, the
// heads per warp. No atomics; each row or partial is written by one warp, and which one depends
// only on the keys, so the result is the same in every run.
template <typename ElemT, int kElems, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads, 2)
    segment_reduce_kernel(SegmentReduceKernelArgs<ElemT, KeyT> args) {
  using AccumT = simt::Accum<ElemT>;
  const auto keys = simt::shared<struct SegmentKeys, KeyT, kSegmentTile + 2>();
  const auto heads = simt::shared<struct SegmentHeads, int, kSegmentTile>();
  const auto head_counts = simt::shared<struct SegmentHeadCounts, int, kSegmentWarps>();
  const int thread = simt::thread_id();
  const int lane = simt::lane_id();
  const int warp = simt::warp_id();
  const std::int64_t tile = simt::block_id();
  const std::int64_t tile_begin = tile * kSegmentTile;
  const int items = args.num_indices - tile_begin < kSegmentTile
                        ? static_cast<int>(args.num_indices - tile_begin)
                        : kSegmentTile;

  // keys(i + 1) is the key of item i; the neighbours outside of the list have a key that no item
  // has.
  const auto no_key = static_cast<KeyT>(args.num_rows + 1);
  for (int i = thread; i < items + 2; i += kBlockThreads) {
    const std::int64_t item = tile_begin + i - 1;
    keys.store(i, item >= 0 && item < args.num_indices ? simt::load_nc(args.keys + item) : no_key);
  }
  simt::sync_block();

  const bool is_head =
      thread < items && (thread == 0 || keys.load(thread) != keys.load(thread + 1));
  const std::uint32_t warp_heads = simt::ballot(simt::kFullMask, is_head);
  if (lane == 0) {
    head_counts.store(warp, simt::popc(warp_heads));
  }
  simt::sync_block();
  int heads_before = 0;
  int num_runs = 0;
  ROWLANE_UNROLL
  for (int w = 0; w < kSegmentWarps; ++w) {
    const int count = head_counts.load(w);
    heads_before += w < warp ? count : 0;
    num_runs += count;
  }
  if (is_head) {
    heads.store(heads_before + simt::popc(warp_heads & ((1U << lane) - 1U)), thread);
  }
  simt::sync_block();

  const auto elems_per_slice = static_cast<std::int64_t>(simt::kWarpSize) * kElems;
  const std::int64_t slices = (args.dim + elems_per_slice - 1) / elems_per_slice;
  for (std::int64_t unit = warp; unit < num_runs * slices; unit += kSegmentWarps) {
    const int run = static_cast<int>(unit / slices);
    const int begin = heads.load(run);
    const int end = run + 1 < num_runs ? heads.load(run + 1) : items;
    const KeyT key = keys.load(begin + 1);
    if (static_cast<std::uint64_t>(key) >= static_cast<std::uint64_t>(args.num_rows)) {
      continue;
    }
    const std::int64_t column = (unit % slices) * elems_per_slice + std::int64_t{kElems} * lane;
    AccumT sum[kElems] = {};
    sum_run<ElemT, kElems, KeyT>(args, tile_begin, begin, end, column, sum);
    if (column >= args.dim) {
      continue;
    }
    const bool from_before = begin == 0 && keys.load(0) == key;
    const bool into_next = end == items && keys.load(items + 1) == key;
    if (from_before || into_next) {
      AccumT* const partial =
          args.partials + (tile * 2 + (from_before ? 0 : 1)) * args.dim + column;
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        simt::store(partial + e, sum[e]);
      }
    } else {
      simt::Vec<ElemT, kElems> total;
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        total.v[e] = simt::from_accum<ElemT>(sum[e]);
      }
      simt::store(reinterpret_cast<simt::Vec<ElemT, kElems>*>(
                      args.grad_table + static_cast<std::int64_t>(key) * args.dim + column),
                  total);
    }
  }
}

// Finishes the rows whose run crosses a tile's edge. One warp looks at each edge; if a run begins
// in the tile before it and goes on behind it, the warp adds that run's partials in tile order and
// stores the row. No shared memory, no atomics; a row is written by the one warp at whose edge its
// run first crosses.
template <typename ElemT, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads)
    segment_combine_kernel(SegmentReduceKernelArgs<ElemT, KeyT> args) {
  const std::int64_t tile = simt::block_id() * kSegmentWarps + simt::warp_id();
  const std::int64_t edge = (tile + 1) * kSegmentTile;
  if (edge >= args.num_indices) {
    return;
  }
  const KeyT key = simt::load_nc(args.keys + edge);
  if (static_cast<std::uint64_t>(key) >= static_cast<std::uint64_t>(args.num_rows) ||
      simt::load_nc(args.keys + edge - 1) != key) {
    return;
  }
  const std::int64_t tile_begin = tile * kSegmentTile;
  if (tile > 0 && simt::load_nc(args.keys + tile_begin - 1) == key) {
    return;
  }
  for (std::int64_t column = simt::lane_id(); column < args.dim; column += simt::kWarpSize) {
    auto sum = simt::load_nc(args.partials + (tile * 2 + 1) * args.dim + column);
    for (std::int64_t next = tile + 1; next * kSegmentTile < args.num_indices &&
                                       simt::load_nc(args.keys + next * kSegmentTile) == key;
         ++next) {
      sum += simt::load_nc(args.partials + next * 2 * args.dim + column);
    }
    simt::store(args.grad_table + static_cast<std::int64_t>(key) * args.dim + column,
                simt::from_accum<ElemT>(sum));
  }
}

}  // namespace rowlane::kernels
