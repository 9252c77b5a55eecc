#include "csrc/cpu/row_gradient.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <atomic>
#include <memory>
#include <vector>

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/scatter_sums.h"
#include "csrc/cpu/sort_indices.h"
#include "csrc/cpu/sorted_sums.h"

namespace rowlane::cpu {
namespace {

// Indices that are worth a task of their own.
constexpr std::int64_t kGrain = 64 << 10;

struct RankedIndices {
  at::Tensor unique_rows;  // int64 [num_unique], ascending
  at::Tensor ranks;  // int32 [num_indices]: the place of the index in unique_rows; -1: padding
};

// The indices have been checked; num_rows is small.
template <typename IndexT>
RankedIndices rank_indices(const at::Tensor& indices, std::int64_t num_rows,
                           std::int64_t padding_row) {
  const auto* const rows = indices.const_data_ptr<IndexT>();
  std::vector<std::int32_t> rank_of(static_cast<std::size_t>(num_rows), 0);
  at::parallel_for(0, indices.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // Several threads may mark a row at once.
      std::atomic_ref(rank_of[static_cast<std::size_t>(rows[i])])
          .store(1, std::memory_order_relaxed);
    }
  });
  if (padding_row >= 0) {
    rank_of[static_cast<std::size_t>(padding_row)] = 0;
  }
  std::vector<std::int64_t> unique_rows;
  for (std::size_t row = 0; row < rank_of.size(); ++row) {
    const bool is_named = rank_of[row] != 0;
    rank_of[row] = is_named ? static_cast<std::int32_t>(unique_rows.size()) : -1;
    if (is_named) {
      unique_rows.push_back(static_cast<std::int64_t>(row));
    }
  }
  RankedIndices result{
      .unique_rows = empty_output({static_cast<std::int64_t>(unique_rows.size())}, at::kLong),
      .ranks = empty_output({indices.numel()}, at::kInt)};
  std::copy(unique_rows.begin(), unique_rows.end(),
            result.unique_rows.mutable_data_ptr<std::int64_t>());
  auto* const ranks = result.ranks.mutable_data_ptr<std::int32_t>();
  at::parallel_for(0, indices.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      ranks[i] = rank_of[static_cast<std::size_t>(rows[i])];
    }
  });
  return result;
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> row_gradient(std::string_view op, const at::Tensor& grad_output,
                                                const at::Tensor& indices, std::int64_t num_rows,
                                                std::int64_t padding_row, bool scale_by_count) {
  if (grad_output.size(-1) == 0) {
    // The rows are those of a table with a column.
    std::vector<std::int64_t> sizes = indices.sizes().vec();
    sizes.push_back(1);
    const at::Tensor column = at::zeros({1}, grad_output.options()).expand(sizes);
    const at::Tensor rows = std::get<0>(
        row_gradient(op, column, indices, num_rows, padding_row, /*scale_by_count=*/false));
    return {rows, empty_output({rows.numel(), 0}, grad_output.scalar_type())};
  }
  const at::Tensor index_list = indices.contiguous();
  const GradRows grads = grad_rows(grad_output);
  const std::int64_t num_indices = index_list.numel();
  const std::int64_t num_shares =
      scale_by_count || num_indices == 0 ? 0 : select_scatter_shares(num_rows, num_indices, grads);
  if (num_shares == 0) {
    return sorted_row_sums(SortedIndices(op, index_list, num_rows, padding_row), grads,
                           scale_by_count);
  }
  RankedIndices ranked;
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(op, index_list, num_rows);
    ranked = rank_indices<IndexT>(index_list, num_rows, padding_row);
  });
  return {ranked.unique_rows, scatter_sums(ranked.ranks, grads, ranked.unique_rows.numel(),
                                           /*skipped_row=*/-1, num_shares)};
}

}  // namespace rowlane::cpu
