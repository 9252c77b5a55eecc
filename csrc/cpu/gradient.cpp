#include "csrc/cpu/gradient.h"

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/scatter_sums.h"
#include "csrc/cpu/sort_indices.h"
#include "csrc/cpu/sorted_sums.h"

namespace rowlane::cpu {

at::Tensor dense_gradient(std::string_view op, const at::Tensor& grad_output,
                          const at::Tensor& indices, std::int64_t num_rows,
                          const GradientOptions& options) {
  const at::Tensor index_list = indices.contiguous();
  const GradRows grads = grad_rows(grad_output);
  if (num_rows * grads.dim == 0 || index_list.numel() == 0) {
    dispatch_index(index_list,
                   [&]<typename IndexT>() { check_indices<IndexT>(op, index_list, num_rows); });
    return empty_output({num_rows, grads.dim}, grads.dtype).zero_();
  }
  const std::int64_t num_shares =
      options.scales_by_count ? 0 : select_scatter_shares(num_rows, index_list.numel(), grads);
  if (num_shares > 0) {
    dispatch_index(index_list,
                   [&]<typename IndexT>() { check_indices<IndexT>(op, index_list, num_rows); });
    return scatter_sums(index_list, grads, num_rows, options.padding_row, num_shares);
  }
  return sorted_dense_sums(SortedIndices(op, index_list, num_rows, options.padding_row), grads,
                           num_rows, options.scales_by_count);
}

}  // namespace rowlane::cpu
