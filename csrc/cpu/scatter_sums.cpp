#include "csrc/cpu/scatter_sums.h"

#include <algorithm>

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/threads.h"

namespace rowlane::cpu {
namespace {

// Sums of one share. Those of short rows may be in any cache, because a sort costs more than a
// miss; of longer ones, in a core's own.
constexpr std::int64_t kShortRowBytes = 32;
constexpr std::int64_t kMaxShortSumBytes = std::int64_t{16} << 20;
constexpr std::int64_t kMaxSumBytes = std::int64_t{2} << 20;
// For rows that are longer than this, sorting the indices costs little.
constexpr std::int64_t kMaxRowBytes = 1024;
constexpr std::int64_t kMaxShares = 16;
// Indices per row and share that make up for clearing and adding the share's sums.
constexpr std::int64_t kIndicesPerRow = 4;
// Threads that share a share's sums take columns of whole cache lines.
constexpr std::int64_t kMinColumns = 32;
constexpr std::int64_t kMergeGrain = 32 << 10;

template <typename IndexT>
auto scatter_of(const ElemLoops& loops) {
  if constexpr (sizeof(IndexT) == 4) {
    return loops.scatter_32;
  } else {
    return loops.scatter_64;
  }
}

}  // namespace

std::int64_t select_scatter_shares(std::int64_t num_rows, std::int64_t num_indices,
                                   const GradRows& grads) {
  const std::int64_t row_bytes = grads.dim * accum_bytes(grads.dtype);
  const bool is_short = row_bytes <= kShortRowBytes;
  if (row_bytes > kMaxRowBytes ||
      num_rows * row_bytes > (is_short ? kMaxShortSumBytes : kMaxSumBytes) ||
      num_rows > kIndicesPerRow * num_indices) {
    return 0;
  }
  std::int64_t shares = kMaxShares;
  while (shares > 1 && (shares * num_rows * row_bytes > kMaxSumBytes ||
                        shares * num_rows * kIndicesPerRow > num_indices)) {
    shares /= 2;
  }
  return shares;
}

at::Tensor scatter_sums(const at::Tensor& indices, const GradRows& grads, std::int64_t num_rows,
                        std::int64_t skipped_row, std::int64_t num_shares) {
  at::Tensor out = empty_output({num_rows, grads.dim}, grads.dtype);
  const std::int64_t num_indices = indices.numel();
  const std::int64_t size = num_rows * grads.dim;
  if (size == 0) {
    return out;
  }
  const std::int64_t sum_bytes = size * accum_bytes(grads.dtype);
  // The first share's sums are the result where no rounding follows.
  const bool is_in_place =
      accum_bytes(grads.dtype) == static_cast<std::int64_t>(c10::elementSize(grads.dtype));
  const c10::DataPtr memory = block_cache().allocate(
      static_cast<std::size_t>((num_shares - (is_in_place ? 1 : 0)) * sum_bytes));
  const auto sums_of = [&](std::int64_t share) -> void* {
    if (is_in_place && share == 0) {
      return out.mutable_data_ptr();
    }
    return static_cast<char*>(memory.get()) + (share - (is_in_place ? 1 : 0)) * sum_bytes;
  };

  const std::int64_t num_threads =
      threads_for(num_indices * grads.row_bytes() + num_shares * sum_bytes);
  const std::int64_t num_parts = std::clamp<std::int64_t>(
      grads.dim / kMinColumns, 1, (num_threads + num_shares - 1) / num_shares);
  const auto column_of = [&](std::int64_t part) {
    constexpr std::int64_t kLineElems = 16;
    return part == num_parts ? grads.dim : grads.dim * part / num_parts / kLineElems * kLineElems;
  };
  const ElemLoops& loops = elem_loops(grads.dtype);
  const auto scatter_task = [&](std::int64_t task) {
    const std::int64_t share = task / num_parts;
    const std::int64_t part = task % num_parts;
    dispatch_index(indices, [&]<typename IndexT>() {
      scatter_of<IndexT>(loops)(
          {.indices = indices.const_data_ptr<IndexT>(),
           .skipped_row = skipped_row,
           .grads = grads.look_ups,
           .dim = grads.dim,
           .begin = num_indices / num_shares * share + std::min(share, num_indices % num_shares),
           .end = num_indices / num_shares * (share + 1) +
                  std::min(share + 1, num_indices % num_shares),
           .column_begin = column_of(part),
           .column_end = column_of(part + 1),
           .sums = sums_of(share),
           .num_rows = num_rows});
    });
  };
  const std::int64_t num_tasks = num_shares * num_parts;
  at::parallel_for(0, num_tasks, num_threads > 1 ? 1 : num_tasks,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t task = begin; task < end; ++task) {
                       scatter_task(task);
                     }
                   });
  if (is_in_place && num_shares == 1) {
    return out;
  }
  at::parallel_for(0, size, kMergeGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.merge({.first = sums_of(0),
                 .rest = sums_of(1),
                 .num_rest = num_shares - 1,
                 .size = size,
                 .begin = begin,
                 .end = end,
                 .out = out.mutable_data_ptr()});
  });
  return out;
}

}  // namespace rowlane::cpu
