#include "rowlane/nn/embedding.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

#include "csrc/ops/embedding.h"
#include "csrc/ops/huge_pages.h"
#include "csrc/optim/look_up.h"
#include "csrc/optim/row_table.h"
#include "rowlane/optim/row_optimizer.h"

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
        "weight",
        ops::empty_in_huge_pages(
            {num_rows, dim}, at::TensorOptions().device(options.device()).dtype(options.dtype())));
    reset_parameters();
  }
}

void EmbeddingImpl::reset_parameters() {
  flush();
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
  if (is_fused()) {
    stream << ", fused";
  }
  stream << ")";
}

EmbeddingFuncOptions EmbeddingImpl::func_options() const {
  return EmbeddingFuncOptions()
      .padding_idx(options.padding_idx())
      .max_norm(options.max_norm())
      .norm_type(options.norm_type())
      .scale_grad_by_freq(options.scale_grad_by_freq())
      .sparse(options.sparse())
      .row_gradient(options.row_gradient())
      .algorithm(options.algorithm());
}

at::Tensor EmbeddingImpl::forward(const at::Tensor& indices) {
  const std::shared_ptr<optim::detail::RowTable>& table = tie_.table();
  if (table == nullptr) {
    return rowlane::embedding(weight, indices, func_options());
  }
  TORCH_CHECK(table->weight().is_same(weight), kName,
              ": weight was replaced by another tensor since the table was attached to its "
              "optimizer; attach() or fuse() it again");
  return optim::detail::look_up(table, indices, func_options(), is_fused());
}

void EmbeddingImpl::attach(optim::RowOptimizer& optimizer) {
  tie_.set(optimizer.table(weight), /*is_fused=*/false);
}

void EmbeddingImpl::fuse(optim::RowOptimizer& optimizer) {
  TORCH_CHECK(weight.is_leaf(), kName, "::fuse: weight must be a leaf, got the result of ",
              weight.grad_fn()->name());
  std::shared_ptr<optim::detail::RowTable> table = optimizer.table(weight);
  optim::detail::check_fuse(*table, func_options());
  TORCH_CHECK(!table->is_fused() || tie_.table() == table, kName,
              "::fuse: weight is fused by another module already");
  tie_.set(std::move(table), /*is_fused=*/true);
}

void EmbeddingImpl::unfuse() {
  flush();
  tie_ = OptimizerTie();
}

bool EmbeddingImpl::is_fused() const noexcept { return tie_.is_fused(); }

void EmbeddingImpl::flush() const {
  if (tie_.table() != nullptr) {
    tie_.table()->flush();
  }
}

std::shared_ptr<torch::nn::Module> EmbeddingImpl::clone(
    const std::optional<at::Device>& device) const {
  flush();
  return Cloneable::clone(device);
}

void EmbeddingImpl::save(torch::serialize::OutputArchive& archive) const {
  flush();
  Cloneable::save(archive);
}

void EmbeddingImpl::load(torch::serialize::InputArchive& archive) {
  flush();
  Cloneable::load(archive);
}

void EmbeddingImpl::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  flush();
  Cloneable::to(device, dtype, non_blocking);
}

void EmbeddingImpl::to(torch::Dtype dtype, bool non_blocking) {
  flush();
  Cloneable::to(dtype, non_blocking);
}

void EmbeddingImpl::to(torch::Device device, bool non_blocking) {
  flush();
  Cloneable::to(device, non_blocking);
}

OptimizerTie& OptimizerTie::operator=(const OptimizerTie& other) noexcept {
  if (this != &other) {
    unfuse();
    table_.reset();
  }
  return *this;
}

OptimizerTie::~OptimizerTie() { unfuse(); }

void OptimizerTie::set(std::shared_ptr<optim::detail::RowTable> table, bool is_fused) {
  unfuse();
  table_ = std::move(table);
  table_->set_fused(is_fused);
  is_fused_ = is_fused;
}

void OptimizerTie::unfuse() noexcept {
  if (is_fused_) {
    table_->set_fused(false);
    is_fused_ = false;
  }
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
