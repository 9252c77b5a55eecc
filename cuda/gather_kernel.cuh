// Device body of the row gather.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <int kVecBytes, typename IndexT>
struct GatherKernelArgs {
  using Chunk = simt::Bytes<kVecBytes>;
  const Chunk* __restrict__ table;     // [num_rows] rows, table_stride chunks apart
  const IndexT* __restrict__ indices;  // [num_indices]
  Chunk* __restrict__ out;             // [num_indices, chunks_per_row]
  std::int64_t num_rows;
  std::int64_t num_indices;
  std::int64_t chunks_per_row;
  std::int64_t table_stride;
  std::int64_t chunk_stride;      // of gather_strided_kernel
  std::int64_t chunks_per_slice;  // grid y splits a row into slices
  int lanes_log2;
  bool streams_out;
  bool keeps_table;
  IndexReport* report;  // or null
};

// A group of 2^lanes_log2 threads, part of a warp or several, owns kGatherRowsInFlight rows of its
// block's. The rows of the groups of a warp are neighbours, and so are those of the warps.
struct GatherGroup {
  ROWLANE_DEVICE explicit GatherGroup(int lanes_log2) {
    const int lanes = 1 << lanes_log2;
    const bool is_part = lanes < simt::kWarpSize;
    lane = simt::thread_id() & (lanes - 1);
    stride = is_part ? simt::kWarpSize >> lanes_log2 : 1;
    warp_rows = stride * kGatherRowsInFlight;
    warp_first = (is_part ? simt::warp_id() : simt::thread_id() >> lanes_log2) * warp_rows;
    first = is_part ? simt::lane_id() >> lanes_log2 : 0;
    block_rows = (kBlockThreads >> lanes_log2) * kGatherRowsInFlight;
  }

  int lane;        // of the thread in its group
  int warp_rows;   // rows of the warp, or of the warps that share theirs,
  int warp_first;  // and the first of them, from the block's first on
  int first;       // row of the group, from warp_first on
  int stride;      // between its rows
  int block_rows;
};

// The rows of a group, -1 where there are no more. A warp loads the indices of all its rows at once
// where they are no more than its threads. What is no row is reported by one thread.
template <int kVecBytes, typename IndexT>
ROWLANE_DEVICE void load_rows(const GatherKernelArgs<kVecBytes, IndexT>& args,
                              std::int64_t warp_position, const GatherGroup& group,
                              std::int64_t (&row)[kGatherRowsInFlight]) {
  const auto report = [&](std::int64_t position, std::int64_t index) {
    if (simt::block_id_y() == 0 && !is_row(index, args.num_rows)) {
      report_index(args.report, position, index, args.num_rows);
    }
  };
  if (group.warp_rows <= simt::kWarpSize) {
    const std::int64_t position = warp_position + simt::lane_id();
    const bool has_row = simt::lane_id() < group.warp_rows && position < args.num_indices;
    const IndexT index = has_row ? simt::load_nc(args.indices + position) : IndexT{-1};
    if (has_row && group.lane < simt::kWarpSize) {
      report(position, index);
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      row[k] = simt::shfl(simt::kFullMask, index, group.first + k * group.stride);
    }
    return;
  }
  ROWLANE_UNROLL
  for (int k = 0; k < kGatherRowsInFlight; ++k) {
    const std::int64_t position =
        warp_position + group.first + static_cast<std::int64_t>(k) * group.stride;
    row[k] = position < args.num_indices ? simt::load_nc(args.indices + position) : -1;
  }
  ROWLANE_UNROLL
  for (int k = 0; k < kGatherRowsInFlight; ++k) {
    const std::int64_t position =
        warp_position + group.first + static_cast<std::int64_t>(k) * group.stride;
    if (group.lane == 0 && position < args.num_indices) {
      report(position, row[k]);
    }
  }
}

// Stores the rows of a block, which lie in shared memory one after the other.
template <simt::Hint kOutHint, typename Chunk>
ROWLANE_DEVICE void store_tile(Chunk* out, int num_chunks) {
  constexpr int kChunksPerStore = 16 / int{sizeof(Chunk)};
  using Wide = simt::Bytes<16>;
  const auto wide_tile = simt::shared_dynamic<Wide>();
  const int num_wide = num_chunks / kChunksPerStore;
  for (int i = simt::thread_id(); i < num_wide; i += kBlockThreads) {
    simt::store<kOutHint>(reinterpret_cast<Wide*>(out) + i, wide_tile.load(i));
  }
  const auto tile = simt::shared_dynamic<Chunk>();
  for (int i = num_wide * kChunksPerStore + simt::thread_id(); i < num_chunks; i += kBlockThreads) {
    simt::store(out + i, tile.load(i));
  }
}

template <int kVecBytes, bool kIsStaged, simt::Hint kOutHint, simt::Hint kTableHint,
          bool kIsStrided = false, typename IndexT>
ROWLANE_DEVICE void gather_rows(const GatherKernelArgs<kVecBytes, IndexT>& args) {
  using Chunk = simt::Bytes<kVecBytes>;
  const GatherGroup group(args.lanes_log2);
  const std::int64_t block_position = simt::block_id() * group.block_rows;
  const std::int64_t left = args.num_indices - block_position;
  const int block_rows = left < group.block_rows ? static_cast<int>(left) : group.block_rows;
  Chunk* const out = args.out + block_position * args.chunks_per_row;

  std::int64_t row[kGatherRowsInFlight];
  load_rows(args, block_position + group.warp_first, group, row);

  const std::int64_t begin = simt::block_id_y() * args.chunks_per_slice;
  const std::int64_t end = begin + args.chunks_per_slice < args.chunks_per_row
                               ? begin + args.chunks_per_slice
                               : args.chunks_per_row;
  for (std::int64_t c = begin + group.lane; c < end; c += 1 << args.lanes_log2) {
    Chunk chunk[kGatherRowsInFlight];
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      chunk[k] = Chunk{};
      if (is_row(row[k], args.num_rows)) {
        const std::int64_t column = kIsStrided ? c * args.chunk_stride : c;
        chunk[k] =
            simt::load_nc<kTableHint>(row_address(args.table, row[k], args.table_stride) + column);
      }
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      const int block_row = group.warp_first + group.first + k * group.stride;
      if (block_row < block_rows) {
        const std::int64_t to = block_row * args.chunks_per_row + c;
        if constexpr (kIsStaged) {
          simt::shared_dynamic<Chunk>().store(static_cast<int>(to), chunk[k]);
        } else {
          simt::store<kOutHint>(out + to, chunk[k]);
        }
      }
    }
  }
  if constexpr (kIsStaged) {
    simt::sync_block();
    store_tile<kOutHint>(out, static_cast<int>(block_rows * args.chunks_per_row));
  }
}

// Copies rows of the table to the output. A block owns consecutive output rows. A group of
// 2^lanes_log2 threads owns kGatherRowsInFlight of them and walks along them side by side; it loads
// all its rows' chunks before it stores any, so that kGatherRowsInFlight loads are in flight per
// thread. Staged, rows meet in kMaxGatherTileBytes of dynamic shared memory at most, and leave it
// in chunks of 16 bytes that do not end where rows do; else a group stores what it loads. No
// atomics; every output byte is written by exactly one thread.
template <int kVecBytes, bool kIsStaged, typename IndexT>
__global__ void __launch_bounds__(kBlockThreads, kGatherBlocksPerSm)
    gather_kernel(GatherKernelArgs<kVecBytes, IndexT> args) {
  using enum simt::Hint;
  if (!args.streams_out) {
    gather_rows<kVecBytes, kIsStaged, kNone, kNone>(args);
  } else if (!args.keeps_table) {
    gather_rows<kVecBytes, kIsStaged, kEvictFirst, kNone>(args);
  } else {
    gather_rows<kVecBytes, kIsStaged, kEvictFirst, kEvictLast>(args);
  }
}

// The same for rows whose chunks, an element each, don't lie next to each other in the table.
template <int kVecBytes, typename IndexT>
__global__ void __launch_bounds__(kBlockThreads, kGatherBlocksPerSm)
    gather_strided_kernel(GatherKernelArgs<kVecBytes, IndexT> args) {
  using enum simt::Hint;
  gather_rows<kVecBytes, /*kIsStaged=*/false, kNone, kNone, /*kIsStrided=*/true>(args);
}

}  // namespace rowlane::kernels
