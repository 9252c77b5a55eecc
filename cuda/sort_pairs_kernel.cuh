// Device body that makes the pairs for the sort.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <typename IndexT, typename KeyT>
struct MakePairsKernelArgs {
  const IndexT* __restrict__ indices;  // [num_indices]
  KeyT* __restrict__ keys;             // [num_indices]
  KeyT* __restrict__ positions;        // [num_indices]
  std::int64_t num_indices;
  std::int64_t num_rows;
  std::int64_t padding_row;
  IndexReport* report;  // or null
};

// Writes (row, position) for each index, with row = num_rows for padding and for an index out of
// range. A thread owns one index; no shared memory, no atomics.
template <typename IndexT, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads)
    make_pairs_kernel(MakePairsKernelArgs<IndexT, KeyT> args) {
  const std::int64_t position = simt::block_id() * kBlockThreads + simt::thread_id();
  if (position >= args.num_indices) {
    return;
  }
  const std::int64_t row = simt::load_nc(args.indices + position);
  const bool is_bad = !is_row(row, args.num_rows);
  if (is_bad) {
    report_index(args.report, position, row, args.num_rows);
  }
  const bool skip = is_bad || row == args.padding_row;
  simt::store(args.keys + position, static_cast<KeyT>(skip ? args.num_rows : row));
  simt::store(args.positions + position, static_cast<KeyT>(position));
}

}  // namespace rowlane::kernels
