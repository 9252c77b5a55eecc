// The sparse gradient on the CPU.
#include <torch/library.h>

#include "csrc/cpu/indices.h"
#include "csrc/ops/coo_gradient.h"
#include "csrc/ops/embedding.h"

namespace rowlane::cpu {
namespace {

at::Tensor embedding_sparse_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                                     std::int64_t num_embeddings,
                                     std::optional<std::int64_t> padding_idx) {
  constexpr const char* kOp = "rowlane::embedding_sparse_backward";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, "auto");
  const at::Tensor index_list = indices.contiguous();
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(kOp, index_list, num_embeddings);
  });
  return ops::sparse_gradient(grad_output, index_list, num_embeddings, padding_idx,
                              /*are_in_range=*/true);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) {
  m.impl("embedding_sparse_backward", &embedding_sparse_backward);
}

}  // namespace rowlane::cpu
