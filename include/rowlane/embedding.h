// rowlane::embedding: looks up rows of a table, with a backward pass of its own.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "rowlane/export.h"

namespace rowlane {

// How the gradient of the table is computed.
enum class BackwardAlgorithm : std::uint8_t {
  // Chosen from the sizes and the device; deterministic.
  kAuto,
  // Zero fill and atomic additions in global memory: float and double on a GPU only, not
  // deterministic (torch's deterministic mode turns it into an error).
  kAtomic,
  // Sort by row, then sum each row's gradients in a fixed order; deterministic.
  kSorted,
  // All in one launch: at most 2048 indices, on a GPU only; deterministic.
  kSmall,
};

// "auto", "atomic", "sorted" or "small": the names that the dispatcher op takes.
ROWLANE_EXPORT std::string_view to_string(BackwardAlgorithm algorithm);

// Options of rowlane::embedding, in the manner of torch::nn::functional::EmbeddingFuncOptions.
struct ROWLANE_EXPORT EmbeddingFuncOptions {
  // This row's gradient is zero; a negative value counts from the end. The forward pass returns the
  // row as it is.
  TORCH_ARG(std::optional<std::int64_t>, padding_idx) = std::nullopt;
  // Rows that are looked up and whose norm is larger are first scaled to this norm, in the table
  // itself.
  TORCH_ARG(std::optional<double>, max_norm) = std::nullopt;
  // The p of that norm: greater than 0, infinity included.
  TORCH_ARG(double, norm_type) = 2.;
  // A row's gradient is divided by how often the row is looked up.
  TORCH_ARG(bool, scale_grad_by_freq) = false;
  // The gradient is a COO tensor with one entry per index, in their order, not coalesced; there are
  // none of the padding row. Its values are a copy. Not with scale_grad_by_freq.
  TORCH_ARG(bool, sparse) = false;
  // The gradient is the row gradient: a coalesced COO tensor with one entry per row that is looked
  // up, rows ascending, their gradients summed. On a GPU its size takes one synchronisation with
  // the host.
  TORCH_ARG(bool, row_gradient) = false;
  TORCH_ARG(BackwardAlgorithm, algorithm) = BackwardAlgorithm::kAuto;
};

// Returns weight[indices]: the rows of `weight` that `indices` names.
//
// weight   [num_embeddings, embedding_dim], any dtype; for a gradient or max_norm float, double,
// half or bfloat16
// indices  int32 or int64, any shape, 0-d and empty included; on the same device as weight
// returns  [*indices.shape, embedding_dim], weight's dtype
//
// Differentiable in weight, any number of times, and in forward mode; max_norm's scaling is no part
// of the derivatives. Sums of 16-bit gradients are accumulated in float and rounded once.
// Deterministic unless options ask for kAtomic. Asynchronous on a GPU (current stream), but for
// COO gradients: a row gradient, and a sparse one with padding_idx, wait once for their size.
// There, for experiments, the environment variable ROWLANE_BACKWARD names the algorithm that kAuto
// stands for.
//
// Throws c10::Error for a wrong shape, dtype, device or option. On the CPU an index out of range
// throws c10::IndexError with its position, its value and the number of rows. A call that throws
// has changed nothing. On a GPU such an index reads nothing: its output row is zero, its gradient
// is dropped, and a later call throws: see rowlane/index_errors.h.
ROWLANE_EXPORT at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                                    const EmbeddingFuncOptions& options = {});

}  // namespace rowlane
