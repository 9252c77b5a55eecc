#include "csrc/cpu/row_gradient.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "csrc/cpu/elements.h"
#include "csrc/cpu/empty_output.h"
#include "csrc/cpu/group_rows.h"
#include "csrc/cpu/indices.h"

namespace rowlane::cpu {
namespace {

// Elements that are worth a task of their own.
constexpr std::int64_t kGrainElems = 32 << 10;

// sums [num_sums, dim], of the groups of `rows` [num_sums].
template <typename ElemT>
void sum_rows(const RowGroups& groups, const at::Tensor& rows, const at::Tensor& grad_output,
              bool scale_by_count, const at::Tensor& sums) {
  const std::int64_t dim = sums.size(1);
  const auto* const row_numbers = rows.const_data_ptr<std::int64_t>();
  const auto* const grads = grad_output.const_data_ptr<ElemT>();
  auto* const out = sums.mutable_data_ptr<ElemT>();
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainElems / dim);
  at::parallel_for(0, sums.size(0), grain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Accum<ElemT>> sum(static_cast<std::size_t>(dim));
    for (std::int64_t slot = begin; slot < end; ++slot) {
      const std::int64_t count = groups.count(row_numbers[slot]);
      const std::int64_t* const positions = groups.begin(row_numbers[slot]);
      std::fill(sum.begin(), sum.end(), Accum<ElemT>{0});
      for (std::int64_t k = 0; k < count; ++k) {
        const ElemT* const grad = grads + positions[k] * dim;
        for (std::int64_t c = 0; c < dim; ++c) {
          sum[static_cast<std::size_t>(c)] += static_cast<Accum<ElemT>>(grad[c]);
        }
      }
      const auto divisor = static_cast<Accum<ElemT>>(scale_by_count ? count : 1);
      for (std::int64_t c = 0; c < dim; ++c) {
        out[slot * dim + c] = static_cast<ElemT>(sum[static_cast<std::size_t>(c)] / divisor);
      }
    }
  });
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> row_gradient(std::string_view op, const at::Tensor& grad_output,
                                                const at::Tensor& indices, std::int64_t num_rows,
                                                std::int64_t padding_row, bool scale_by_count) {
  const at::Tensor grad = grad_output.contiguous();
  const at::Tensor index_list = indices.contiguous();
  RowGroups groups;
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(op, index_list, num_rows);
    groups =
        group_rows(index_list.const_data_ptr<IndexT>(), index_list.numel(), num_rows, padding_row);
  });
  std::vector<std::int64_t> named;
  for (std::int64_t row = 0; row < num_rows; ++row) {
    if (groups.count(row) > 0) {
      named.push_back(row);
    }
  }
  const auto num_named = static_cast<std::int64_t>(named.size());
  at::Tensor rows = at::empty({num_named}, grad.options().dtype(at::kLong));
  std::copy(named.begin(), named.end(), rows.mutable_data_ptr<std::int64_t>());
  at::Tensor sums = empty_output({num_named, grad.size(-1)}, grad.options());
  if (sums.numel() > 0) {
    dispatch_elem(grad.scalar_type(), [&]<typename ElemT>() {
      sum_rows<ElemT>(groups, rows, grad, scale_by_count, sums);
    });
  }
  return {std::move(rows), std::move(sums)};
}

}  // namespace rowlane::cpu
