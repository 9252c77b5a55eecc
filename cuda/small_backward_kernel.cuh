// Device body of the backward for few indices.
#pragma once

#include "cuda/block_reduce.cuh"
#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <typename Source, typename Sink>
struct SmallBackwardKernelArgs {
  ReduceArgs<Source, Sink> reduce;
  const void* __restrict__ indices;  // [num_indices] of 8 or 4 bytes
  bool has_wide_indices;
  std::int64_t padding_row;
  int num_indices;      // at most kSmallMaxIndices
  int list_size;        // room for a list that is sorted in place: the next power of two
  int slices;           // blocks that sum a range of rows, each a slice of their columns
  int rows_per_range;   // at most kSmallMaxRows
  IndexReport* report;  // or null
};

// An entry of a block's list: its row, from the range's first one, above its position.
inline constexpr int kSmallPositionBits = 12;
static_assert(kSmallMaxIndices <= 1 << kSmallPositionBits);
static_assert(kSmallMaxRows <= 1 << (32 - kSmallPositionBits));

template <typename Source, typename Sink>
ROWLANE_DEVICE std::int64_t load_index(const SmallBackwardKernelArgs<Source, Sink>& args, int i) {
  return args.has_wide_indices ? simt::load_nc(static_cast<const std::int64_t*>(args.indices) + i)
                               : simt::load_nc(static_cast<const std::int32_t*>(args.indices) + i);
}

// Sorts `count` entries in shared memory, with the whole block; room for the next power of two.
ROWLANE_DEVICE void sort_entries(simt::Shared<std::uint32_t> entries, int count) {
  int padded = 1;
  while (padded < count) {
    padded *= 2;
  }
  for (int i = count + simt::thread_id(); i < padded; i += kBlockThreads) {
    entries.store(i, 0xffffffffU);
  }
  simt::sync_block();
  for (int run = 2; run <= padded; run *= 2) {
    for (int step = run / 2; step > 0; step /= 2) {
      for (int t = simt::thread_id(); t < padded / 2; t += kBlockThreads) {
        const int low = 2 * (t & ~(step - 1)) + (t & (step - 1));
        const std::uint32_t a = entries.load(low);
        const std::uint32_t b = entries.load(low + step);
        if ((a > b) == ((low & run) == 0)) {
          entries.store(low, b);
          entries.store(low + step, a);
        }
      }
      simt::sync_block();
    }
  }
}

// The whole backward in one launch. A block owns a range of rows and a slice of their columns: it
// reads the whole index list, keeps the entries of its rows, sorts them, and stores each row's sum,
// or zero. Shared memory: the list twice, and what BlockReduce needs. No atomics; every element is
// written by one thread, and each sum is in the order of the list.
template <typename Source, typename Sink, int kElems>
__global__ void __launch_bounds__(
    kBlockThreads, segment_blocks_per_sm(kElems, int{sizeof(simt::Accum<typename Sink::Elem>)}, 4,
                                         /*is_step=*/false))
    small_backward_kernel(SmallBackwardKernelArgs<Source, Sink> args) {
  constexpr int kWarps = kBlockThreads / simt::kWarpSize;
  const auto kept = simt::shared<struct Kept, int, kWarps>();
  const auto keys = simt::shared_dynamic<std::uint32_t>();
  const auto entries = simt::shared_dynamic<std::uint32_t>(4 * args.list_size);
  const auto tile = simt::shared_dynamic<typename Sink::Elem>(8 * args.list_size);
  const int thread = simt::thread_id();
  const int lane = simt::lane_id();
  const int warp = simt::warp_id();
  const std::int64_t first_row = simt::block_id() / args.slices * args.rows_per_range;
  const std::int64_t end_row = first_row + args.rows_per_range < args.reduce.num_rows
                                   ? first_row + args.rows_per_range
                                   : args.reduce.num_rows;

  // Each warp keeps what it wants of its part of the list at the beginning of that part.
  const int part = (args.num_indices + kBlockThreads - 1) / kBlockThreads * simt::kWarpSize;
  const int begin = warp * part;
  const int end = begin + part < args.num_indices ? begin + part : args.num_indices;
  int count = 0;
  for (int base = begin; base < end; base += simt::kWarpSize) {
    const int i = base + lane;
    const std::int64_t row = i < end ? load_index(args, i) : -1;
    if (simt::block_id() == 0 && i < end && !is_row(row, args.reduce.num_rows)) {
      report_index(args.report, i, row, args.reduce.num_rows);
    }
    const bool is_wanted = row >= first_row && row < end_row && row != args.padding_row;
    const std::uint32_t wanted = simt::ballot(simt::kFullMask, is_wanted);
    if (is_wanted) {
      keys.store(begin + count + simt::popc(wanted & ((1U << lane) - 1U)),
                 static_cast<std::uint32_t>(row - first_row) << kSmallPositionBits |
                     static_cast<std::uint32_t>(i));
    }
    count += simt::popc(wanted);
  }
  if (lane == 0) {
    kept.store(warp, count);
  }
  simt::sync_block();
  int before = 0;
  int items = 0;
  ROWLANE_UNROLL
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? kept.load(w) : 0;
    items += kept.load(w);
  }
  for (int i = lane; i < count; i += simt::kWarpSize) {
    entries.store(before + i, keys.load(begin + i));
  }
  simt::sync_block();
  sort_entries(entries, items);
  for (int i = thread; i < items; i += kBlockThreads) {
    const std::uint32_t entry = entries.load(i);
    keys.store(i, static_cast<std::uint32_t>(first_row) + (entry >> kSmallPositionBits));
    entries.store(i, entry & ((1U << kSmallPositionBits) - 1U));
  }
  simt::sync_block();

  const BlockShare<std::uint32_t> share{
      .items = items,
      .first_row = static_cast<std::uint32_t>(first_row),
      .end_row = static_cast<std::uint32_t>(end_row),
      .path_length = args.reduce.item_weight * items +
                     args.reduce.row_weight * static_cast<int>(end_row - first_row)};
  const BlockReduce<Source, Sink, kElems, std::uint32_t, /*kIsWhole=*/true> reduce{
      {.args = args.reduce, .share = share, .keys = keys},
      entries,
      tile,
      static_cast<int>(simt::block_id() % args.slices),
      /*partials=*/nullptr,
      /*share_index=*/0};
  reduce.run();
}

}  // namespace rowlane::kernels
