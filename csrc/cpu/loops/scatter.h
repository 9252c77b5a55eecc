// Sums of gradients in the order in which they come, for the files that are compiled once for each
// instruction set (lanes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/loops/store_sink.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {  // NOLINT(google-build-namespaces): stream.h

// Rows of sums that are fetched ahead.
constexpr std::int64_t kScatterAhead = 4;

template <std::int64_t kDim, typename ElemT, typename IndexT>
void scatter_rows_of(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  const ScatterArgs<IndexT> a = args;
  auto* const sums = static_cast<Accum*>(a.sums);
  for (std::int64_t i = a.begin; i < a.end; ++i) {
    const auto row = static_cast<std::int64_t>(a.indices[i]);
    if (row == a.skipped_row) {
      continue;
    }
    const auto* const grad = a.grads.template of<ElemT>(i);
    for (std::int64_t c = 0; c < kDim; ++c) {
      sums[row * kDim + c] += Lane<ElemT>::load(grad + c);
    }
  }
}

template <typename ElemT, typename IndexT>
void scatter_rows(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  const ScatterArgs<IndexT> a = args;
  auto* const all_sums = static_cast<Accum*>(a.sums) + a.column_begin;
  const std::int64_t columns = a.column_end - a.column_begin;
  const std::int64_t vec_columns = columns / kLanes<ElemT> * kLanes<ElemT>;
  for (std::int64_t i = a.begin; i < a.end; ++i) {
    if (i + kScatterAhead < a.end) {
      prefetch_row(all_sums + static_cast<std::int64_t>(a.indices[i + kScatterAhead]) * a.dim,
                   columns * static_cast<std::int64_t>(sizeof(Accum)));
    }
    const auto row = static_cast<std::int64_t>(a.indices[i]);
    if (row == a.skipped_row) {
      continue;
    }
    const ElemT* const grad = a.grads.template of<ElemT>(i) + a.column_begin;
    Accum* const sums = all_sums + row * a.dim;
    for (std::int64_t c = 0; c < vec_columns; c += kLanes<ElemT>) {
      const Vec sum = load_bits<Vec>(sums + c) + Lane<ElemT>::load_vec(grad + c);
      std::memcpy(sums + c, &sum, sizeof(sum));
    }
    for (std::int64_t c = vec_columns; c < columns; ++c) {
      sums[c] += Lane<ElemT>::load(grad + c);
    }
  }
}

template <typename ElemT, typename IndexT>
void clear_sums(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  auto* const sums = static_cast<Accum*>(args.sums) + args.column_begin;
  const std::int64_t columns = args.column_end - args.column_begin;
  const bool is_dense = columns == args.dim;
  for (std::int64_t row = 0; row < (is_dense ? 1 : args.num_rows); ++row) {
    std::memset(
        static_cast<void*>(sums + row * args.dim), 0,
        static_cast<std::size_t>(is_dense ? args.num_rows * columns : columns) * sizeof(Accum));
  }
}

template <typename ElemT, typename IndexT>
void scatter(const ScatterArgs<IndexT>& args) {
  clear_sums<ElemT>(args);
  if (args.column_end - args.column_begin == args.dim) {
    switch (args.dim) {
      case 1:
        return scatter_rows_of<1, ElemT>(args);
      case 2:
        return scatter_rows_of<2, ElemT>(args);
      case 3:
        return scatter_rows_of<3, ElemT>(args);
      case 4:
        return scatter_rows_of<4, ElemT>(args);
      default:
        break;
    }
  }
  scatter_rows<ElemT>(args);
}

template <typename ElemT>
void merge(const MergeArgs& args) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  const MergeArgs a = args;
  const auto* const first = static_cast<const Accum*>(a.first);
  const auto* const rest = static_cast<const Accum*>(a.rest);
  const RoundingSink<ElemT, false> sink{static_cast<ElemT*>(a.out), Accum{1}};
  std::int64_t i = a.begin;
  for (; i + kLanes<ElemT> <= a.end; i += kLanes<ElemT>) {
    auto sum = load_bits<Vec>(first + i);
    for (std::int64_t share = 0; share < a.num_rest; ++share) {
      sum += load_bits<Vec>(rest + share * a.size + i);
    }
    sink.put(i, sum);
  }
  for (; i < a.end; ++i) {
    Accum sum = first[i];
    for (std::int64_t share = 0; share < a.num_rest; ++share) {
      sum += rest[share * a.size + i];
    }
    sink.put(i, sum);
  }
}

}  // namespace
}  // namespace rowlane::cpu::ROWLANE_ISA
