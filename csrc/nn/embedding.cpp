#include "rowlane/nn/embedding.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

#include "csrc/ops/embedding.h"

namespace rowlane::nn {
namespace {

using torch::autograd::isDifferentiableType;

constexpr const char* kName = "rowlane::nn::Embedding";

}  // namespace

EmbeddingImpl::EmbeddingImpl(EmbeddingOptions options) : options(std::move(options)) { reset(); }

void EmbeddingImpl::reset() {
  const std::int64_t num_rows = options.num_embeddings();
  const std::int64_t dim = options.embedding_dim();
  TORCH_CHECK_VALUE(num_rows >= 0 && dim >= 0, kName,
                    ": num_embeddings and embedding_dim must not be negative, got ", num_rows,
                    " and ", dim);
  if (options.padding_idx().has_value()) {
    options.padding_idx(ops::wrap_padding_idx(kName, *options.padding_idx(), num_rows));
  }
  if (options.max_norm().has_value()) {
    ops::check_norm(kName, *options.max_norm(), options.norm_type());
  }
  if (options._weight().defined()) {
    TORCH_CHECK(options._weight().sizes() == at::IntArrayRef({num_rows, dim}), kName,
                ": _weight must have shape ", at::IntArrayRef({num_rows, dim}), ", got ",
                options._weight().sizes());
    // An alias, not the tensor itself: clone() replaces the data of what is registered here.
    const at::Tensor table = options._weight().detach();
    weight = register_parameter("weight", table, isDifferentiableType(table.scalar_type()));
  } else {
    TORCH_CHECK_TYPE(!options.dtype().has_value() || isDifferentiableType(*options.dtype()), kName,
                     ": dtype must be floating point or complex, got ", *options.dtype());
    weight = register_parameter(
        "weight", at::empty({num_rows, dim},
                            at::TensorOptions().device(options.device()).dtype(options.dtype())));
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
  if (options.max_norm().has_value()) {
    stream << ", max_norm=" << *options.max_norm();
  }
  if (options.norm_type() != 2) {
    stream << ", norm_type=" << options.norm_type();
  }
  if (options.scale_grad_by_freq()) {
    stream << ", scale_grad_by_freq=true";
  }
  if (options.sparse()) {
    stream << ", sparse=true";
  }
  if (options.row_gradient()) {
    stream << ", row_gradient=true";
  }
  if (options.algorithm() != BackwardAlgorithm::kAuto) {
    stream << ", algorithm=" << to_string(options.algorithm());
  }
  stream << ")";
}

at::Tensor EmbeddingImpl::forward(const at::Tensor& indices) {
  return rowlane::embedding(weight, indices,
                            EmbeddingFuncOptions()
                                .padding_idx(options.padding_idx())
                                .max_norm(options.max_norm())
                                .norm_type(options.norm_type())
                                .scale_grad_by_freq(options.scale_grad_by_freq())
                                .sparse(options.sparse())
                                .row_gradient(options.row_gradient())
                                .algorithm(options.algorithm()));
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
                          .max_norm(options.max_norm())
                          .norm_type(options.norm_type())
                          .scale_grad_by_freq(options.scale_grad_by_freq())
                          .sparse(options.sparse())
                          .row_gradient(options.row_gradient())
                          .algorithm(options.algorithm()));
  if (!options.freeze()) {
    TORCH_CHECK_TYPE(isDifferentiableType(embeddings.scalar_type()),
                     "rowlane::nn::Embedding::from_pretrained: freeze must be true for embeddings "
                     "that are neither floating point nor complex, got ",
                     embeddings.scalar_type());
  }
  embedding->weight.set_requires_grad(!options.freeze());
  return embedding;
}

}  // namespace rowlane::nn
