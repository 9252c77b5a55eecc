// rowlane::nn::Embedding: the module, a drop-in for torch::nn::Embedding.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>

#include "rowlane/embedding.h"
#include "rowlane/nn/optimizer_tie.h"

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

  // See rowlane::embedding. indices [*] -> [*, embedding_dim]. With max_norm it changes `weight`,
  // and of an attached table the rows that are behind.
  at::Tensor forward(const at::Tensor& indices);

  // Ties the table to `optimizer`, whose parameter `weight` must be, from now on: forward() brings
  // the rows that it reads up to date, as RowSemantics::kDenseEquivalent needs it. Replaces an
  // earlier attach() or fuse(). The optimizer may go away before the module; rows that it has left
  // behind still catch up. Whoever else writes to a part of the table calls flush() of the
  // optimizer first: steps that a row has missed when the table is written to are dropped, with a
  // warning.
  void attach(optim::RowOptimizer& optimizer);

  // attach(), and the table takes its step in the backward pass: no gradient of it exists, of any
  // shape, and weight.grad() stays undefined. loss.backward() takes the step when it ends, with the
  // numbers that the options of the parameter group have then; optimizer.step() steps the other
  // parameters. The same training loop gives the same bits as with row_gradient(true), if the table
  // is looked up once in it; several look-ups in one backward pass are summed first. Gradients
  // can't be clipped or scaled between the two.
  //
  // Throws c10::Error if `weight` isn't a leaf that is a parameter of the optimizer, or is fused
  // already, or the options ask for an algorithm other than kAuto and kSorted, or for max_norm with
  // a copy in float. What can't be right is an error of the backward pass, which then changes
  // nothing: create_graph; a gradient of `weight` that is asked for by name (torch::autograd::grad,
  // backward(inputs)); a second backward pass before optimizer.step(); a gradient from elsewhere
  // than look-ups of this module; scale_grad_by_freq with several look-ups. So is a forward pass
  // after the optimizer has gone, or when `weight` has hooks, which would see no gradient, be they
  // of the tensor or, as DistributedDataParallel's, of its accumulation.
  void fuse(optim::RowOptimizer& optimizer);

  // Undoes attach() and fuse(): brings the rows up to date, and the table has a gradient again that
  // nobody but the user's optimizer knows of. Does nothing if the table isn't tied.
  void unfuse();
  [[nodiscard]] bool is_fused() const noexcept;

  // Each brings an attached table up to date first. A clone is neither attached nor fused.
  std::shared_ptr<torch::nn::Module> clone(
      const std::optional<at::Device>& device = std::nullopt) const override;
  void save(torch::serialize::OutputArchive& archive) const override;
  void load(torch::serialize::InputArchive& archive) override;
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Device device, bool non_blocking = false) override;

  EmbeddingOptions options;
  at::Tensor weight;

 private:
  [[nodiscard]] EmbeddingFuncOptions func_options() const;
  void flush() const;

  OptimizerTie tie_;
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
