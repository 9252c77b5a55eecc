// The dispatcher ops by name, with the C++ signatures of their schemas (csrc/library.cpp).
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace rowlane::ops {

using OptionalTensor = const std::optional<at::Tensor>&;
using OptionalInt = std::optional<std::int64_t>;
using OptionalSymInt = std::optional<c10::SymInt>;

struct EmbeddingOp {
  static constexpr const char* kName = "rowlane::embedding";
  using Signature = at::Tensor(const at::Tensor& weight, const at::Tensor& indices,
                               OptionalSymInt padding_idx, bool scale_grad_by_freq, bool sparse,
                               bool row_gradient, std::string_view algorithm);
};

struct EmbeddingBackwardOp {
  static constexpr const char* kName = "rowlane::embedding_backward";
  using Signature = at::Tensor(const at::Tensor& grad_output, const at::Tensor& indices,
                               c10::SymInt num_embeddings, OptionalSymInt padding_idx,
                               bool scale_grad_by_freq, std::string_view algorithm);
};

struct EmbeddingRowGradientOp {
  static constexpr const char* kName = "rowlane::embedding_row_gradient";
  using Signature = EmbeddingBackwardOp::Signature;
};

struct EmbeddingSparseBackwardOp {
  static constexpr const char* kName = "rowlane::embedding_sparse_backward";
  using Signature = at::Tensor(const at::Tensor& grad_output, const at::Tensor& indices,
                               c10::SymInt num_embeddings, OptionalSymInt padding_idx);
};

struct EmbeddingRenormOp {
  static constexpr const char* kName = "rowlane::embedding_renorm_";
  using Signature = void(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                         double norm_type);
};

struct RowStepOp {
  static constexpr const char* kName = "rowlane::row_step_";
  using Signature = void(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
                         bool counts_rows, OptionalTensor master, OptionalInt seed,
                         const at::Tensor& rows, const at::Tensor& values, std::string_view rule,
                         at::ArrayRef<double> numbers);
};

struct EmbeddingStepOp {
  static constexpr const char* kName = "rowlane::embedding_step_";
  using Signature = void(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
                         bool counts_rows, OptionalTensor master, OptionalInt seed,
                         const at::Tensor& grad_output, const at::Tensor& indices,
                         std::string_view rule, at::ArrayRef<double> numbers,
                         OptionalInt padding_idx, bool scale_grad_by_freq);
};

struct RowCatchUpOp {
  static constexpr const char* kName = "rowlane::row_catch_up_";
  using Signature = void(const at::Tensor& weight, at::TensorList state,
                         const at::Tensor& row_steps, OptionalTensor master, OptionalInt seed,
                         OptionalTensor indices, std::string_view rule, const at::Tensor& history,
                         std::int64_t last_step);
};

template <typename Op>
const auto& find_op() {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow(Op::kName, "")
                             .template typed<typename Op::Signature>();
  return op;
}

}  // namespace rowlane::ops
