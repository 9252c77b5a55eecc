// Derivatives. Looking up rows is linear in the table and its backward is linear in the incoming
// gradient; each is the other's transpose, except that the padding row takes part in the look-up
// but in no derivative, and that scale_grad_by_freq divides in derivatives only.
#include "csrc/ops/embedding.h"

#include <ATen/ops/masked_fill.h>
#include <ATen/ops/ones.h>
#include <torch/library.h>

#include "csrc/autograd/linear_op.h"

namespace rowlane {
namespace {

using ops::LookUp;

// How often the row of each index is looked up, [*, 1]; 1 for an index out of range.
at::Tensor frequencies(const at::Tensor& table, const at::Tensor& indices) {
  c10::SymDimVector sizes(indices.sym_sizes());
  sizes.emplace_back(1);
  const at::Tensor ones =
      at::ones({1},
               table.options().dtype(table.scalar_type() == at::kDouble ? at::kDouble : at::kFloat))
          .expand_symint(sizes);
  const at::Tensor counts = ops::embedding_backward(ones, indices, table.sym_size(0), {});
  return ops::embedding(counts, indices, {}).clamp_min(1);
}

// The rows of a tangent of the table, as derivatives see them: transpose of every backward op.
at::Tensor gather_tangent(const at::Tensor& table_tangent, const at::Tensor& indices,
                          const LookUp& look_up) {
  const at::Tensor table = table_tangent.is_sparse() ? table_tangent.to_dense() : table_tangent;
  at::Tensor rows = ops::embedding(
      table, indices, {.padding_idx = look_up.padding_idx, .algorithm = look_up.algorithm});
  if (look_up.scale_grad_by_freq) {
    rows = rows.div(frequencies(table, indices)).to(table.scalar_type());
  }
  if (look_up.padding_idx) {
    const at::Tensor is_padding = indices.eq(c10::Scalar(*look_up.padding_idx)).unsqueeze(-1);
    rows = rows.masked_fill(is_padding, 0);
  }
  return rows;
}

struct EmbeddingTranspose {
  static constexpr const char* kName = "RowlaneEmbeddingBackward";
  LookUp look_up;
  c10::SymInt num_embeddings;

  auto fields() {
    return std::tie(look_up.padding_idx, look_up.scale_grad_by_freq, look_up.sparse,
                    look_up.row_gradient, look_up.algorithm, num_embeddings);
  }
  at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices) const {
    if (look_up.sparse) {
      return ops::embedding_sparse_backward(grad, indices, num_embeddings, look_up);
    }
    return look_up.row_gradient
               ? ops::embedding_row_gradient(grad, indices, num_embeddings, look_up)
               : ops::embedding_backward(grad, indices, num_embeddings, look_up);
  }
};

struct EmbeddingBackwardTranspose {
  static constexpr const char* kName = "RowlaneEmbeddingBackwardBackward";
  LookUp look_up;

  auto fields() {
    return std::tie(look_up.padding_idx, look_up.scale_grad_by_freq, look_up.algorithm);
  }
  at::Tensor apply(const at::Tensor& grad, const at::Tensor& indices) const {
    return gather_tangent(grad, indices, look_up);
  }
};

at::Tensor embedding_autograd(const at::Tensor& weight, const at::Tensor& indices,
                              std::optional<c10::SymInt> padding_idx, bool scale_grad_by_freq,
                              bool sparse, bool row_gradient, std::string_view algorithm) {
  const LookUp look_up{.padding_idx = std::move(padding_idx),
                       .scale_grad_by_freq = scale_grad_by_freq,
                       .sparse = sparse,
                       .row_gradient = row_gradient,
                       .algorithm = std::string(algorithm)};
  return autograd::record_linear_op(
      weight, indices,
      [&](const at::Tensor& table) { return ops::embedding(table, indices, look_up); },
      [&](const at::Tensor& tangent) { return gather_tangent(tangent, indices, look_up); },
      [&] {
        return EmbeddingTranspose{look_up, weight.sym_size(0)};
      });
}

at::Tensor embedding_backward_autograd(const at::Tensor& grad_output, const at::Tensor& indices,
                                       c10::SymInt num_embeddings,
                                       std::optional<c10::SymInt> padding_idx,
                                       bool scale_grad_by_freq, std::string_view algorithm) {
  const LookUp look_up{.padding_idx = std::move(padding_idx),
                       .scale_grad_by_freq = scale_grad_by_freq,
                       .algorithm = std::string(algorithm)};
  const auto backward = [&](const at::Tensor& grad) {
    return ops::embedding_backward(grad, indices, num_embeddings, look_up);
  };
  return autograd::record_linear_op(grad_output, indices, backward, backward,
                                    [&] { return EmbeddingBackwardTranspose{look_up}; });
}

// A backward op whose result is a sparse tensor, which torch knows no tangents of.
template <typename Backward>
at::Tensor record_sparse_backward(std::string_view op, const at::Tensor& grad_output,
                                  const at::Tensor& indices, const LookUp& look_up,
                                  Backward&& backward) {
  return autograd::record_linear_op(
      grad_output, indices, backward,
      [op](const at::Tensor& /*tangent*/) -> at::Tensor {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false, op,
            ": grad_output has a tangent, but a sparse gradient can't have one; forward-mode "
            "derivatives of a gradient need a dense one");
      },
      [&] { return EmbeddingBackwardTranspose{look_up}; });
}

at::Tensor embedding_sparse_backward_autograd(const at::Tensor& grad_output,
                                              const at::Tensor& indices, c10::SymInt num_embeddings,
                                              std::optional<c10::SymInt> padding_idx) {
  const LookUp look_up{.padding_idx = std::move(padding_idx)};
  return record_sparse_backward("rowlane::embedding_sparse_backward", grad_output, indices, look_up,
                                [&](const at::Tensor& grad) {
                                  return ops::embedding_sparse_backward(grad, indices,
                                                                        num_embeddings, look_up);
                                });
}

at::Tensor embedding_row_gradient_autograd(const at::Tensor& grad_output, const at::Tensor& indices,
                                           c10::SymInt num_embeddings,
                                           std::optional<c10::SymInt> padding_idx,
                                           bool scale_grad_by_freq, std::string_view algorithm) {
  const LookUp look_up{.padding_idx = std::move(padding_idx),
                       .scale_grad_by_freq = scale_grad_by_freq,
                       .algorithm = std::string(algorithm)};
  return record_sparse_backward("rowlane::embedding_row_gradient", grad_output, indices, look_up,
                                [&](const at::Tensor& grad) {
                                  return ops::embedding_row_gradient(grad, indices, num_embeddings,
                                                                     look_up);
                                });
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Autograd, m) {
  m.impl("embedding", &embedding_autograd);
  m.impl("embedding_backward", &embedding_backward_autograd);
  m.impl("embedding_sparse_backward", &embedding_sparse_backward_autograd);
  m.impl("embedding_row_gradient", &embedding_row_gradient_autograd);
}

}  // namespace rowlane
