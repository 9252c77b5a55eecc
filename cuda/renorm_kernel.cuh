// Device body of the renorm.
#pragma once

#include "cuda/policy.h"
#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

enum class NormKind : std::uint8_t {
  kSum,        // p = 1
  kEuclidean,  // p = 2
  kLargest,    // p is infinity
  kAnyPower,
};

template <typename ElemT, typename KeyT>
struct RenormKernelArgs {
  using AccumT = simt::Accum<ElemT>;
  const KeyT* __restrict__ keys;  // [num_indices], ascending; keys >= num_rows are skipped
  ElemT* __restrict__ table;      // [num_rows] rows, row_stride elements apart
  std::int64_t num_indices;
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t row_stride;
  std::int64_t column_stride;  // 1 where several elements are loaded at once
  AccumT max_norm;
  AccumT norm_type;  // of kAnyPower
  NormKind kind;
  int lanes_log2;
};

// The larger of two numbers, of which a NaN is the largest.
template <typename T>
ROWLANE_DEVICE T larger(T a, T b) {
  const bool is_nan = b != b;  // NOLINT(misc-redundant-expression)
  return b > a || is_nan ? b : a;
}

template <typename T>
ROWLANE_DEVICE T add_to_norm(NormKind kind, T norm, T x, T norm_type) {
  const T magnitude = x < 0 ? -x : x;
  switch (kind) {
    case NormKind::kSum:
      return norm + magnitude;
    case NormKind::kEuclidean:
      return norm + x * x;
    case NormKind::kLargest:
      return larger(norm, magnitude);
    case NormKind::kAnyPower:
      break;
  }
  return norm + simt::pow(magnitude, norm_type);
}

template <typename T>
ROWLANE_DEVICE T root_of_norm(NormKind kind, T norm, T norm_type) {
  switch (kind) {
    case NormKind::kSum:
    case NormKind::kLargest:
      return norm;
    case NormKind::kEuclidean:
      return simt::sqrt(norm);
    case NormKind::kAnyPower:
      break;
  }
  return simt::pow(norm, T{1} / norm_type);
}

// Scales each row that begins a run of the sorted keys, so that every distinct row is scaled once.
// A group of 2^lanes_log2 threads owns one key; it reads its row for the norm, and once more, from
// L1, to scale it. No shared memory, no atomics; a row is written by one group, and its norm's
// summands are added in an order that depends on the row's length alone.
template <typename ElemT, int kElems, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads) renorm_kernel(RenormKernelArgs<ElemT, KeyT> args) {
  using AccumT = simt::Accum<ElemT>;
  using Chunk = simt::Vec<ElemT, kElems>;
  const int lanes = 1 << args.lanes_log2;
  const int first_column = (simt::thread_id() & (lanes - 1)) * kElems;
  const int columns_per_step = lanes * kElems;
  const std::int64_t position =
      (simt::block_id() * kBlockThreads + simt::thread_id()) >> args.lanes_log2;

  bool is_first = false;
  std::int64_t row = 0;
  if (position < args.num_indices) {
    const KeyT key = simt::load_nc(args.keys + position);
    row = static_cast<std::int64_t>(key);
    is_first =
        row < args.num_rows && (position == 0 || simt::load_nc(args.keys + position - 1) != key);
  }
  ElemT* const elements = row_address(args.table, row, args.row_stride);
  const auto chunk_at = [&](std::int64_t column) {
    return reinterpret_cast<Chunk*>(elements +
                                    (kElems == 1 ? column * args.column_stride : column));
  };

  AccumT norm = 0;
  if (is_first) {
    for (std::int64_t c = first_column; c < args.dim; c += columns_per_step) {
      const Chunk chunk = simt::load(chunk_at(c));
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        norm = add_to_norm(args.kind, norm, simt::to_accum(chunk.v[e]), args.norm_type);
      }
    }
  }
  for (int step = lanes / 2; step > 0; step /= 2) {
    const AccumT other = simt::shfl_xor(simt::kFullMask, norm, step);
    norm = args.kind == NormKind::kLargest ? larger(norm, other) : norm + other;
  }
  norm = root_of_norm(args.kind, norm, args.norm_type);
  if (!is_first || !(norm > args.max_norm)) {
    return;
  }

  const AccumT scale = args.max_norm / (norm + static_cast<AccumT>(1e-7));
  for (std::int64_t c = first_column; c < args.dim; c += columns_per_step) {
    Chunk chunk = simt::load(chunk_at(c));
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      chunk.v[e] = simt::from_accum<ElemT>(simt::to_accum(chunk.v[e]) * scale);
    }
    simt::store(chunk_at(c), chunk);
  }
}

}  // namespace rowlane::kernels
