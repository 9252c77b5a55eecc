// Device body of the row gather.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
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
  std::int64_t chunks_per_slice;  // grid y splits a row into slices
  int lanes_log2;
  IndexReport* report;  // or null
};

// Copies rows of the table to the output. A group of 2^lanes_log2 threads owns kGatherRowsInFlight
// output rows and walks along them side by side; it loads each row's index once, and all its rows'
// chunks before it stores any, so that kGatherRowsInFlight loads are in flight per thread. No
// shared memory, no atomics; every output byte is written by exactly one thread.
template <int kVecBytes, typename IndexT>
__global__ void __launch_bounds__(kBlockThreads)
    gather_kernel(GatherKernelArgs<kVecBytes, IndexT> args) {
  using Chunk = simt::Bytes<kVecBytes>;
  const int lanes = 1 << args.lanes_log2;
  const int lane = simt::thread_id() & (lanes - 1);
  const int groups = kBlockThreads >> args.lanes_log2;
  const std::int64_t first =
      simt::block_id() * groups * kGatherRowsInFlight + (simt::thread_id() >> args.lanes_log2);

  std::int64_t row[kGatherRowsInFlight];
  ROWLANE_UNROLL
  for (int k = 0; k < kGatherRowsInFlight; ++k) {
    const std::int64_t position = first + static_cast<std::int64_t>(k) * groups;
    row[k] = position < args.num_indices ? simt::load_nc(args.indices + position) : -1;
  }
  if (lane == 0 && simt::block_id_y() == 0) {
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      const std::int64_t position = first + static_cast<std::int64_t>(k) * groups;
      if (position < args.num_indices && !is_row(row[k], args.num_rows)) {
        report_index(args.report, position, row[k], args.num_rows);
      }
    }
  }

  const std::int64_t begin = simt::block_id_y() * args.chunks_per_slice;
  const std::int64_t end = begin + args.chunks_per_slice < args.chunks_per_row
                               ? begin + args.chunks_per_slice
                               : args.chunks_per_row;
  for (std::int64_t c = begin + lane; c < end; c += lanes) {
    Chunk chunk[kGatherRowsInFlight];
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      chunk[k] = Chunk{};
      if (is_row(row[k], args.num_rows)) {
        chunk[k] = simt::load_nc(args.table + row[k] * args.table_stride + c);
      }
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kGatherRowsInFlight; ++k) {
      const std::int64_t position = first + static_cast<std::int64_t>(k) * groups;
      if (position < args.num_indices) {
        simt::store(args.out + position * args.chunks_per_row + c, chunk[k]);
      }
    }
  }
}

}  // namespace rowlane::kernels
