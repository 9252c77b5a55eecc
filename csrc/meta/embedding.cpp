// Shapes without data: what torch.compile, export and meta tensors run.
#include "csrc/ops/embedding.h"

#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace rowlane {
namespace {

at::Tensor embedding_meta(const at::Tensor& weight, const at::Tensor& indices,
                          std::optional<c10::SymInt> /*padding_idx*/, bool /*scale_grad_by_freq*/,
                          bool sparse, bool row_gradient, std::string_view algorithm) {
  ops::check_embedding(weight, indices, sparse, row_gradient, algorithm);
  c10::SymDimVector sizes(indices.sym_sizes());
  sizes.push_back(weight.sym_size(1));
  return at::empty_symint(sizes, weight.options());
}

at::Tensor embedding_backward_meta(const at::Tensor& grad_output, const at::Tensor& indices,
                                   c10::SymInt num_embeddings,
                                   std::optional<c10::SymInt> /*padding_idx*/,
                                   bool /*scale_grad_by_freq*/, std::string_view algorithm) {
  ops::check_gradient("rowlane::embedding_backward", grad_output, indices, algorithm);
  return at::empty_symint({num_embeddings, grad_output.sym_size(-1)}, grad_output.options());
}

// How many entries there will be depends on the indices' values: as many as there can be stand for
// them.
at::Tensor sparse_meta(const at::Tensor& grad_output, const c10::SymInt& num_entries,
                       const c10::SymInt& num_embeddings, bool is_coalesced) {
  const c10::SymInt dim = grad_output.sym_size(-1);
  return at::_sparse_coo_tensor_unsafe_symint(
      at::empty_symint({1, num_entries}, grad_output.options().dtype(at::kLong)),
      at::empty_symint({num_entries, dim}, grad_output.options()), {num_embeddings, dim},
      grad_output.options().layout(at::kSparse), is_coalesced);
}

at::Tensor embedding_sparse_backward_meta(const at::Tensor& grad_output, const at::Tensor& indices,
                                          c10::SymInt num_embeddings,
                                          std::optional<c10::SymInt> /*padding_idx*/) {
  ops::check_gradient("rowlane::embedding_sparse_backward", grad_output, indices, "auto");
  return sparse_meta(grad_output, indices.sym_numel(), num_embeddings, /*is_coalesced=*/false);
}

at::Tensor embedding_row_gradient_meta(const at::Tensor& grad_output, const at::Tensor& indices,
                                       c10::SymInt num_embeddings,
                                       std::optional<c10::SymInt> /*padding_idx*/,
                                       bool /*scale_grad_by_freq*/, std::string_view algorithm) {
  ops::check_gradient("rowlane::embedding_row_gradient", grad_output, indices, algorithm);
  return sparse_meta(grad_output, indices.sym_numel().min(num_embeddings), num_embeddings,
                     /*is_coalesced=*/true);
}

void embedding_renorm_meta(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                           double norm_type) {
  ops::check_renorm("rowlane::embedding_renorm_", weight, indices, max_norm, norm_type);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Meta, m) {
  m.impl("embedding", &embedding_meta);
  m.impl("embedding_backward", &embedding_backward_meta);
  m.impl("embedding_sparse_backward", &embedding_sparse_backward_meta);
  m.impl("embedding_row_gradient", &embedding_row_gradient_meta);
  m.impl("embedding_renorm_", &embedding_renorm_meta);
}

}  // namespace rowlane
