#include "csrc/ops/embedding.h"

#include <ATen/core/grad_mode.h>

#include "csrc/ops/dispatch.h"

namespace rowlane {

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     const EmbeddingFuncOptions& options) {
  return ops::embedding(weight, indices, ops::prepare_look_up(weight, indices, options));
}

namespace ops {

LookUp prepare_look_up(const at::Tensor& weight, const at::Tensor& indices,
                       const EmbeddingFuncOptions& options) {
  constexpr std::string_view kOp = "rowlane::embedding";
  LookUp look_up{.scale_grad_by_freq = options.scale_grad_by_freq(),
                 .sparse = options.sparse(),
                 .row_gradient = options.row_gradient(),
                 .algorithm = std::string(to_string(options.algorithm()))};
  if (options.padding_idx().has_value()) {
    check_table(kOp, weight);
    look_up.padding_idx = wrap_padding_idx(kOp, *options.padding_idx(), weight.size(0));
  }
  if (options.max_norm().has_value()) {
    check_renorm(kOp, weight, indices, *options.max_norm(), options.norm_type());
    const at::NoGradGuard no_grad;
    // What else may be wrong with the call comes first.
    const at::Tensor table = weight.detach();
    embedding(table, indices.reshape(-1).narrow(0, 0, 0), look_up);
    embedding_renorm(table, indices, *options.max_norm(), options.norm_type());
  }
  return look_up;
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices, const LookUp& look_up) {
  return find_op<EmbeddingOp>().call(weight, indices, look_up.padding_idx,
                                     look_up.scale_grad_by_freq, look_up.sparse,
                                     look_up.row_gradient, look_up.algorithm);
}

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              const c10::SymInt& num_embeddings, const LookUp& look_up) {
  return find_op<EmbeddingBackwardOp>().call(grad_output, indices, num_embeddings,
                                             look_up.padding_idx, look_up.scale_grad_by_freq,
                                             look_up.algorithm);
}

at::Tensor embedding_sparse_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                                     const c10::SymInt& num_embeddings, const LookUp& look_up) {
  TORCH_CHECK_VALUE(!look_up.scale_grad_by_freq, EmbeddingSparseBackwardOp::kName,
                    ": sparse gradients are not summed, so scale_grad_by_freq must be false; "
                    "row_gradient gives summed ones");
  return find_op<EmbeddingSparseBackwardOp>().call(grad_output, indices, num_embeddings,
                                                   look_up.padding_idx);
}

at::Tensor embedding_row_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                                  const c10::SymInt& num_embeddings, const LookUp& look_up) {
  return find_op<EmbeddingRowGradientOp>().call(grad_output, indices, num_embeddings,
                                                look_up.padding_idx, look_up.scale_grad_by_freq,
                                                look_up.algorithm);
}

void embedding_renorm(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                      double norm_type) {
  find_op<EmbeddingRenormOp>().call(weight, indices, max_norm, norm_type);
}

std::vector<std::int64_t> output_sizes(const at::Tensor& indices, std::int64_t dim) {
  std::vector<std::int64_t> sizes = indices.sizes().vec();
  sizes.push_back(dim);
  return sizes;
}

}  // namespace ops
}  // namespace rowlane
