// Look-up on the CPU.
#include "csrc/ops/embedding.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "csrc/cpu/empty_output.h"
#include "csrc/cpu/indices.h"

namespace rowlane::cpu {
namespace {

// Bytes that are worth a task of their own.
constexpr std::int64_t kGrainBytes = 128 << 10;

struct Rows {
  const char* data;
  std::int64_t stride_bytes;
  std::int64_t row_bytes;
};

// out [num_indices, row_bytes]; the indices have been checked.
template <typename IndexT>
void gather_rows(const Rows& table, const IndexT* indices, std::int64_t num_indices, char* out) {
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainBytes / table.row_bytes);
  at::parallel_for(0, num_indices, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::memcpy(out + i * table.row_bytes, table.data + indices[i] * table.stride_bytes,
                  static_cast<std::size_t>(table.row_bytes));
    }
  });
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::optional<std::int64_t> padding_idx, bool /*scale_grad_by_freq*/,
                     bool sparse, bool row_gradient, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding";
  ops::check_embedding(weight, indices, sparse, row_gradient, algorithm);
  ops::check_rows(kOp, weight.size(0), padding_idx);
  check_algorithm_on_cpu(kOp, algorithm);

  const std::int64_t dim = weight.size(1);
  const at::Tensor table = weight.stride(1) == 1 || dim <= 1 ? weight : weight.contiguous();
  const at::Tensor index_list = indices.contiguous();
  dispatch_index(index_list,
                 [&]<typename IndexT>() { check_indices<IndexT>(kOp, index_list, table.size(0)); });
  at::Tensor out = empty_output(ops::output_sizes(indices, dim), weight.options());
  if (out.numel() == 0) {
    return out;
  }
  const auto elem_bytes = static_cast<std::int64_t>(weight.element_size());
  const Rows rows{.data = static_cast<const char*>(table.const_data_ptr()),
                  .stride_bytes = table.stride(0) * elem_bytes,
                  .row_bytes = dim * elem_bytes};
  dispatch_index(index_list, [&]<typename IndexT>() {
    gather_rows(rows, index_list.const_data_ptr<IndexT>(), index_list.numel(),
                static_cast<char*>(out.mutable_data_ptr()));
  });
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding", &embedding); }

}  // namespace rowlane::cpu
