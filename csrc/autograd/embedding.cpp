// Derivatives. Looking up rows is linear in the table and its backward is linear in the incoming
// gradient; each is the other's transpose, except that the padding row takes part in the look-up
// but in no derivative.
#include "csrc/ops/embedding.h"

#include <ATen/ops/masked_fill.h>
#include <torch/library.h>

#include "csrc/autograd/linear_op.h"

namespace rowlane {
namespace {

// What a gradient needs to know of the look-up, beside the indices.
struct LookUp {
  std::optional<c10::SymInt> padding_idx;
  std::string algorithm;
};

// The rows of a tangent of the table, without the padding row: transpose of embedding_backward.
at::Tensor gather_tangent(const at::Tensor& table_tangent, const at::Tensor& indices,
                          const LookUp& look_up) {
  at::Tensor rows = ops::embedding(table_tangent, indices, look_up.padding_idx, look_up.algorithm);
  if (!look_up.padding_idx) {
    return rows;
  }
  const at::Tensor is_padding = indices.eq(c10::Scalar(*look_up.padding_idx)).unsqueeze(-1);
  return rows.masked_fill(is_padding, 0);
}

struct EmbeddingTranspose {
  static constexpr const char* kName = "RowlaneEmbeddingBackward";
  LookUp look_up;
  c10::SymInt num_embeddings;

  at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices) const {
    return ops::embedding_backward(grad, indices, num_embeddings, look_up.padding_idx,
                                   look_up.algorithm);
  }
};

struct EmbeddingBackwardTranspose {
  static constexpr const char* kName = "RowlaneEmbeddingBackwardBackward";
  LookUp look_up;

  at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices) const {
    return gather_tangent(grad, indices, look_up);
  }
};

at::Tensor embedding_autograd(const at::Tensor& weight, const at::Tensor& indices,
                              std::optional<c10::SymInt> padding_idx, std::string_view algorithm) {
  const auto look_up = [&] { return LookUp{padding_idx, std::string(algorithm)}; };
  return autograd::record_linear_op(
      weight, indices,
      [&](const at::Tensor& table) {
        return ops::embedding(table, indices, padding_idx, algorithm);
      },
      [&](const at::Tensor& tangent) { return gather_tangent(tangent, indices, look_up()); },
      [&] {
        return EmbeddingTranspose{look_up(), weight.sym_size(0)};
      });
}

at::Tensor embedding_backward_autograd(const at::Tensor& grad_output, const at::Tensor& indices,
                                       c10::SymInt num_embeddings,
                                       std::optional<c10::SymInt> padding_idx,
                                       std::string_view algorithm) {
  const auto backward = [&](const at::Tensor& grad) {
    return ops::embedding_backward(grad, indices, num_embeddings, padding_idx, algorithm);
  };
  return autograd::record_linear_op(grad_output, indices, backward, backward, [&] {
    return EmbeddingBackwardTranspose{{padding_idx, std::string(algorithm)}};
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Autograd, m) {
  m.impl("embedding", &embedding_autograd);
  m.impl("embedding_backward", &embedding_backward_autograd);
}

}  // namespace rowlane
