// Dense gradient of the table on the CPU: group by row, then one pass that writes sums and zeros.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "csrc/cpu/elements.h"
#include "csrc/cpu/empty_output.h"
#include "csrc/cpu/group_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/ops/embedding.h"

namespace rowlane::cpu {
namespace {

// Elements that are worth a task of their own.
constexpr std::int64_t kGrainElems = 32 << 10;

template <typename ElemT>
class TableGradient {
 public:
  // grad_output [num_indices, dim], grad_table [num_rows, dim], which is overwritten.
  TableGradient(const RowGroups& groups, const ElemT* grad_output, ElemT* grad_table,
                std::int64_t num_rows, std::int64_t dim, bool scale_by_count)
      : groups_(groups),
        grad_output_(grad_output),
        grad_table_(grad_table),
        num_rows_(num_rows),
        dim_(dim),
        scale_by_count_(scale_by_count) {}

  // Every element is summed in order of position by one thread, so the result is the same for any
  // number of threads.
  void compute() const {
    // The path visits the rows in order, and after each of them its gradient rows: shares of the
    // path are shares of the work, whatever the skew. Row r begins at offsets[r] + r.
    const std::int64_t path = groups_.offsets.back() + num_rows_;
    const std::int64_t hot_count =
        std::max<std::int64_t>(1024, path / (std::int64_t{4} * at::get_num_threads()));
    const std::int64_t grain = std::max<std::int64_t>(1, kGrainElems / dim_);
    at::parallel_for(0, path, grain, [&](std::int64_t begin, std::int64_t end) {
      std::vector<Accum<ElemT>> scratch(static_cast<std::size_t>(dim_));
      const std::int64_t last = first_row_from(end);
      for (std::int64_t row = first_row_from(begin); row < last; ++row) {
        if (groups_.count(row) <= hot_count) {
          sum_row(row, 0, dim_, scratch.data());
        }
      }
    });
    if (groups_.offsets.back() > hot_count) {
      sum_hot_rows(hot_count);
    }
  }

 private:
  // The first row that begins at `path_position` or behind it.
  [[nodiscard]] std::int64_t first_row_from(std::int64_t path_position) const {
    std::int64_t low = 0;
    std::int64_t high = num_rows_;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (groups_.offsets[static_cast<std::size_t>(middle)] + middle < path_position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // A row with a large share of all indices is split over its columns instead.
  void sum_hot_rows(std::int64_t hot_count) const {
    constexpr std::int64_t kGrainColumns = 16;  // a cache line of floats
    for (std::int64_t row = 0; row < num_rows_; ++row) {
      if (groups_.count(row) > hot_count) {
        at::parallel_for(0, dim_, kGrainColumns, [&](std::int64_t begin, std::int64_t end) {
          std::vector<Accum<ElemT>> scratch(static_cast<std::size_t>(end - begin));
          sum_row(row, begin, end, scratch.data());
        });
      }
    }
  }

  // Columns [begin, end) of a row; scratch holds as many.
  void sum_row(std::int64_t row, std::int64_t begin, std::int64_t end,
               Accum<ElemT>* scratch) const {
    const std::int64_t count = groups_.count(row);
    const std::int64_t* const positions = groups_.begin(row);
    const std::int64_t columns = end - begin;
    ElemT* const out = grad_table_ + row * dim_ + begin;
    if (count == 0) {
      std::memset(static_cast<void*>(out), 0, static_cast<std::size_t>(columns) * sizeof(ElemT));
      return;
    }
    if (count == 1) {
      std::memcpy(static_cast<void*>(out), grad_output_ + positions[0] * dim_ + begin,
                  static_cast<std::size_t>(columns) * sizeof(ElemT));
      return;
    }
    std::fill_n(scratch, columns, Accum<ElemT>{0});
    for (std::int64_t k = 0; k < count; ++k) {
      const ElemT* const grad = grad_output_ + positions[k] * dim_ + begin;
      for (std::int64_t c = 0; c < columns; ++c) {
        scratch[c] += static_cast<Accum<ElemT>>(grad[c]);
      }
    }
    const Accum<ElemT> divisor = static_cast<Accum<ElemT>>(scale_by_count_ ? count : 1);
    for (std::int64_t c = 0; c < columns; ++c) {
      out[c] = static_cast<ElemT>(scratch[c] / divisor);
    }
  }

  const RowGroups& groups_;
  const ElemT* grad_output_;
  ElemT* grad_table_;
  std::int64_t num_rows_;
  std::int64_t dim_;
  bool scale_by_count_;
};

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                              bool scale_grad_by_freq, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_backward";
  ops::check_gradient(kOp, grad_output, indices, algorithm);
  ops::check_rows(kOp, num_embeddings, padding_idx);
  check_algorithm_on_cpu(kOp, algorithm);

  const std::int64_t dim = grad_output.size(-1);
  const at::Tensor grad = grad_output.contiguous();
  const at::Tensor index_list = indices.contiguous();
  RowGroups groups;
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(kOp, index_list, num_embeddings);
    groups = group_rows(index_list.const_data_ptr<IndexT>(), index_list.numel(), num_embeddings,
                        padding_idx.value_or(-1));
  });
  at::Tensor grad_table = empty_output({num_embeddings, dim}, grad.options());
  if (grad_table.numel() > 0) {
    dispatch_elem(grad.scalar_type(), [&]<typename ElemT>() {
      TableGradient<ElemT>(groups, grad.const_data_ptr<ElemT>(),
                           grad_table.mutable_data_ptr<ElemT>(), num_embeddings, dim,
                           scale_grad_by_freq)
          .compute();
    });
  }
  return grad_table;
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding_backward", &embedding_backward); }

}  // namespace rowlane::cpu
