#include "rowlane/nn/embedding.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <utility>

namespace rowlane::nn {

EmbeddingImpl::EmbeddingImpl(EmbeddingOptions options) : options(std::move(options)) { reset(); }

void EmbeddingImpl::reset() {
  const std::int64_t num_rows = options.num_embeddings();
  const std::int64_t dim = options.embedding_dim();
  TORCH_CHECK_VALUE(num_rows >= 0 && dim >= 0,
                    "rowlane::nn::Embedding: num_embeddings and embedding_dim must not be "
                    "negative, got ",
                    num_rows, " and ", dim);
  if (options.padding_idx().has_value()) {
    const std::int64_t row = *options.padding_idx();
    TORCH_CHECK_VALUE(row >= -num_rows && row < num_rows, "rowlane::nn::Embedding: padding_idx ",
                      row, " is out of range for a table of ", num_rows, " rows");
    options.padding_idx(row < 0 ? row + num_rows : row);
  }
  if (options._weight().defined()) {
    TORCH_CHECK(options._weight().sizes() == at::IntArrayRef({num_rows, dim}),
                "rowlane::nn::Embedding: _weight must have shape ",
                at::IntArrayRef({num_rows, dim}), ", got ", options._weight().sizes());
    // An alias, not the tensor itself: clone() replaces the data of what is registered here.
    weight = register_parameter("weight", options._weight().detach());
  } else {
    weight = register_parameter("weight", at::empty({num_rows, dim}));
    reset_parameters();
  }
}

void EmbeddingImpl::reset_parameters() {
  const at::NoGradGuard no_grad;
  weight.normal_();
  if (options.padding_idx().has_value()) {
    weight[*options.padding_idx()].zero_();
  }
}

void EmbeddingImpl::pretty_print(std::ostream& stream) const {
  stream << "rowlane::nn::Embedding(num_embeddings=" << options.num_embeddings()
         << ", embedding_dim=" << options.embedding_dim();
  if (options.padding_idx().has_value()) {
    stream << ", padding_idx=" << *options.padding_idx();
  }
  if (options.algorithm() != BackwardAlgorithm::kAuto) {
    stream << ", algorithm=" << to_string(options.algorithm());
  }
  stream << ")";
}

at::Tensor EmbeddingImpl::forward(const at::Tensor& indices) {
  return rowlane::embedding(
      weight, indices,
      EmbeddingFuncOptions().padding_idx(options.padding_idx()).algorithm(options.algorithm()));
}

Embedding Embedding::from_pretrained(const at::Tensor& embeddings,
                                     const EmbeddingFromPretrainedOptions& options) {
  TORCH_CHECK(embeddings.dim() == 2,
              "rowlane::nn::Embedding::from_pretrained: embeddings must be 2-D [num_embeddings, "
              "embedding_dim], got shape ",
              embeddings.sizes());
  Embedding embedding(EmbeddingOptions(embeddings.size(0), embeddings.size(1))
                          ._weight(embeddings)
                          .padding_idx(options.padding_idx())
                          .algorithm(options.algorithm()));
  embedding->weight.set_requires_grad(!options.freeze());
  return embedding;
}

}  // namespace rowlane::nn
