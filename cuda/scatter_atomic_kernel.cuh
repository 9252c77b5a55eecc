// Device body of the atomic scatter.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <typename ElemT, typename IndexT>
struct ScatterAtomicKernelArgs {
  const ElemT* __restrict__ grad_output;  // [num_indices] rows, grad_row_stride apart
  const IndexT* __restrict__ indices;     // [num_indices]
  ElemT* __restrict__ grad_table;         // [num_rows, dim]
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t grad_row_stride;
  std::int64_t num_indices;
  std::int64_t padding_row;
  int lanes_log2;
  IndexReport* report;  // or null
};

// Adds each gradient row to its row of the table. A group of 2^lanes_log2 threads owns one gradient
// row. No shared memory; writes are relaxed atomic additions in L2, so the result depends on their
// order in the last bits.
template <typename ElemT, int kElems, typename IndexT>
__global__ void __launch_bounds__(kBlockThreads)
    scatter_atomic_kernel(ScatterAtomicKernelArgs<ElemT, IndexT> args) {
  const std::int64_t lanes = std::int64_t{1} << args.lanes_log2;
  const std::int64_t lane = simt::thread_id() & (lanes - 1);
  const std::int64_t position =
      (simt::block_id() * kBlockThreads + simt::thread_id()) >> args.lanes_log2;
  if (position >= args.num_indices) {
    return;
  }
  const std::int64_t row = simt::load_nc(args.indices + position);
  if (!is_row(row, args.num_rows)) {
    if (lane == 0) {
      report_index(args.report, position, row, args.num_rows);
    }
    return;
  }
  if (row == args.padding_row) {
    return;
  }
  for (std::int64_t c = lane * kElems; c < args.dim; c += lanes * kElems) {
    const auto grad =
        simt::load_nc<simt::Hint::kEvictFirst>(reinterpret_cast<const simt::Vec<ElemT, kElems>*>(
            args.grad_output + position * args.grad_row_stride + c));
    simt::reduce_add(row_address(args.grad_table, row, args.dim) + c, grad);
  }
}

}  // namespace rowlane::kernels
