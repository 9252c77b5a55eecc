// Look-up on the CPU.
#include "csrc/ops/embedding.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <atomic>

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/caches.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/threads.h"

namespace rowlane::cpu {
namespace {

// Whether all indices are in range.
template <typename IndexT>
bool gather(const GatherArgs& args, const at::Tensor& indices) {
  const std::int64_t num_indices = indices.numel();
  const std::int64_t num_threads =
      threads_for(num_indices * (args.row_bytes + static_cast<std::int64_t>(sizeof(IndexT))));
  std::atomic<bool> all_in_range{true};
  const auto gather_share = [&](std::int64_t begin, std::int64_t end) {
    const auto* const data = indices.const_data_ptr<IndexT>();
    bool in_range = true;
    if constexpr (sizeof(IndexT) == 4) {
      in_range = row_loops().gather_32(args, data, begin, end);
    } else {
      in_range = row_loops().gather_64(args, data, begin, end);
    }
    if (!in_range) {
      all_in_range = false;
    }
  };
  if (num_threads == 1) {
    gather_share(0, num_indices);
  } else {
    at::parallel_for(0, num_indices, 1, gather_share);
  }
  return all_in_range;
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::optional<std::int64_t> padding_idx, bool /*scale_grad_by_freq*/,
                     bool sparse, bool row_gradient, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding";
  ops::check_embedding(weight, indices, sparse, row_gradient, algorithm);
  ops::check_rows(kOp, weight.size(0), padding_idx);
  check_algorithm_on_cpu(kOp, algorithm);

  const std::int64_t dim = weight.size(1);
  const at::Tensor index_list = indices.contiguous();
  at::Tensor out = empty_output(ops::output_sizes(indices, dim), weight.scalar_type());
  if (out.numel() == 0 || weight.size(0) == 0) {
    dispatch_index(index_list, [&]<typename IndexT>() {
      check_indices<IndexT>(kOp, index_list, weight.size(0));
    });
    return out;
  }
  const auto elem_bytes = static_cast<std::int64_t>(weight.element_size());
  const GatherArgs args{.table = static_cast<const char*>(weight.const_data_ptr()),
                        .num_rows = weight.size(0),
                        .stride_bytes = weight.stride(0) * elem_bytes,
                        .row_bytes = dim * elem_bytes,
                        .elem_bytes = weight.stride(1) == 1 || dim == 1 ? 0 : elem_bytes,
                        .elem_stride_bytes = weight.stride(1) * elem_bytes,
                        .out = static_cast<char*>(out.mutable_data_ptr()),
                        .prefetches = is_prefetched(weight.size(0) * dim * elem_bytes),
                        .streams = is_streamed(index_list.numel() * dim * elem_bytes)};
  dispatch_index(index_list, [&]<typename IndexT>() {
    // The output is new, so nobody sees what is written before an index is found to be wrong.
    if (!gather<IndexT>(args, index_list)) {
      check_indices<IndexT>(kOp, index_list, weight.size(0));
    }
  });
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding", &embedding); }

}  // namespace rowlane::cpu
