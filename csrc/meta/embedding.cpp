// Shapes without data: what torch.compile, export and meta tensors run.
#include "csrc/ops/embedding.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace rowlane {
namespace {

at::Tensor embedding_meta(const at::Tensor& weight, const at::Tensor& indices,
                          std::optional<c10::SymInt> /*padding_idx*/, std::string_view algorithm) {
  ops::check_embedding(weight, indices, algorithm);
  c10::SymDimVector sizes(indices.sym_sizes());
  sizes.push_back(weight.sym_size(1));
  return at::empty_symint(sizes, weight.options());
}

at::Tensor embedding_backward_meta(const at::Tensor& grad_output, const at::Tensor& indices,
                                   c10::SymInt num_embeddings,
                                   std::optional<c10::SymInt> /*padding_idx*/,
                                   std::string_view algorithm) {
  ops::check_embedding_backward(grad_output, indices, algorithm);
  return at::empty_symint({num_embeddings, grad_output.sym_size(-1)}, grad_output.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Meta, m) {
  m.impl("embedding", &embedding_meta);
  m.impl("embedding_backward", &embedding_backward_meta);
}

}  // namespace rowlane
