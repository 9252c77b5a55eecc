// rowlane::nn::Embedding: the module, a drop-in for torch::nn::Embedding.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <optional>
#include <ostream>

#include "rowlane/embedding.h"

namespace rowlane::nn {

// Options of rowlane::nn::Embedding, named as in torch::nn::EmbeddingOptions.
struct ROWLANE_EXPORT EmbeddingOptions {
  EmbeddingOptions(std::int64_t num_embeddings, std::int64_t embedding_dim)
      : num_embeddings_(num_embeddings), embedding_dim_(embedding_dim) {}

  // Rows of the table.
  TORCH_ARG(std::int64_t, num_embeddings);
  // Elements per row.
  TORCH_ARG(std::int64_t, embedding_dim);
  // This row starts as zeros and never gets a gradient; a negative value counts from the end.
  TORCH_ARG(std::optional<std::int64_t>, padding_idx) = std::nullopt;
  // These six as in rowlane::EmbeddingFuncOptions.
  TORCH_ARG(std::optional<double>, max_norm) = std::nullopt;
  TORCH_ARG(double, norm_type) = 2.;
  TORCH_ARG(bool, scale_grad_by_freq) = false;
  TORCH_ARG(bool, sparse) = false;
  TORCH_ARG(bool, row_gradient) = false;
  TORCH_ARG(BackwardAlgorithm, algorithm) = BackwardAlgorithm::kAuto;
  // The table itself, [num_embeddings, embedding_dim], instead of a new one drawn from N(0, 1).
  TORCH_ARG(at::Tensor, _weight) = {};
  // Where a new table is made, and of what; torch's defaults if not given.
  TORCH_ARG(std::optional<at::Device>, device) = std::nullopt;
  TORCH_ARG(std::optional<at::ScalarType>, dtype) = std::nullopt;
};

// Options of rowlane::nn::Embedding::from_pretrained.
struct ROWLANE_EXPORT EmbeddingFromPretrainedOptions {
  // Without a gradient.
  TORCH_ARG(bool, freeze) = true;
  // These seven as in EmbeddingOptions.
  TORCH_ARG(std::optional<std::int64_t>, padding_idx) = std::nullopt;
  TORCH_ARG(std::optional<double>, max_norm) = std::nullopt;
  TORCH_ARG(double, norm_type) = 2.;
  TORCH_ARG(bool, scale_grad_by_freq) = false;
  TORCH_ARG(bool, sparse) = false;
  TORCH_ARG(bool, row_gradient) = false;
  TORCH_ARG(BackwardAlgorithm, algorithm) = BackwardAlgorithm::kAuto;
};

// A table of rows that are looked up by index. One parameter, `weight` [num_embeddings,
// embedding_dim], so its state is interchangeable with torch::nn::Embedding's.
class ROWLANE_EXPORT EmbeddingImpl : public torch::nn::Cloneable<EmbeddingImpl> {
 public:
  EmbeddingImpl(std::int64_t num_embeddings, std::int64_t embedding_dim)
      : EmbeddingImpl(EmbeddingOptions(num_embeddings, embedding_dim)) {}
  // Throws c10::Error when a size is negative, padding_idx or max_norm is out of range, dtype can't
  // be drawn from N(0, 1), or _weight has another shape than the options.
  explicit EmbeddingImpl(EmbeddingOptions options);

  void reset() override;
  // Draws the table from N(0, 1) and zeroes the padding row.
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  // See rowlane::embedding. indices [*] -> [*, embedding_dim]. With max_norm it changes `weight`.
  at::Tensor forward(const at::Tensor& indices);

  EmbeddingOptions options;
  at::Tensor weight;
};

// A shared handle to an EmbeddingImpl, as torch::nn::Embedding is to its own.
class ROWLANE_EXPORT Embedding : public torch::nn::ModuleHolder<EmbeddingImpl> {
 public:
  using torch::nn::ModuleHolder<EmbeddingImpl>::ModuleHolder;

  // A module around an existing table [num_embeddings, embedding_dim]; the padding row is left as
  // it is.
  static Embedding from_pretrained(const at::Tensor& embeddings,
                                   const EmbeddingFromPretrainedOptions& options = {});
};

}  // namespace rowlane::nn
