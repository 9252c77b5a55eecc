#include "csrc/ops/embedding.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>

namespace rowlane {

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     const EmbeddingFuncOptions& options) {
  return ops::embedding(weight, indices, ops::prepare_look_up(weight, indices, options));
}

namespace ops {
namespace {

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

using SummingBackward = at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt,
                                   std::optional<c10::SymInt>, bool, std::string_view);

}  // namespace

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
  static const auto op =
      find_op<at::Tensor(const at::Tensor&, const at::Tensor&, std::optional<c10::SymInt>, bool,
                         bool, bool, std::string_view)>("rowlane::embedding");
  return op.call(weight, indices, look_up.padding_idx, look_up.scale_grad_by_freq, look_up.sparse,
                 look_up.row_gradient, look_up.algorithm);
}

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              const c10::SymInt& num_embeddings, const LookUp& look_up) {
  static const auto op = find_op<SummingBackward>("rowlane::embedding_backward");
  return op.call(grad_output, indices, num_embeddings, look_up.padding_idx,
                 look_up.scale_grad_by_freq, look_up.algorithm);
}

at::Tensor embedding_sparse_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                                     const c10::SymInt& num_embeddings, const LookUp& look_up) {
  constexpr const char* kOp = "rowlane::embedding_sparse_backward";
  TORCH_CHECK_VALUE(!look_up.scale_grad_by_freq, kOp,
                    ": sparse gradients are not summed, so scale_grad_by_freq must be false; "
                    "row_gradient gives summed ones");
  static const auto op = find_op<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt,
                                            std::optional<c10::SymInt>)>(kOp);
  return op.call(grad_output, indices, num_embeddings, look_up.padding_idx);
}

at::Tensor embedding_row_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                                  const c10::SymInt& num_embeddings, const LookUp& look_up) {
  static const auto op = find_op<SummingBackward>("rowlane::embedding_row_gradient");
  return op.call(grad_output, indices, num_embeddings, look_up.padding_idx,
                 look_up.scale_grad_by_freq, look_up.algorithm);
}

void embedding_renorm(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                      double norm_type) {
  static const auto op = find_op<void(const at::Tensor&, const at::Tensor&, double, double)>(
      "rowlane::embedding_renorm_");
  op.call(weight, indices, max_norm, norm_type);
}

std::vector<std::int64_t> output_sizes(const at::Tensor& indices, std::int64_t dim) {
  std::vector<std::int64_t> sizes = indices.sizes().vec();
  sizes.push_back(dim);
  return sizes;
}

}  // namespace ops
}  // namespace rowlane
