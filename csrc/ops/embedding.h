// The embedding ops as C++ functions, and the checks that every backend's kernel begins with.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "rowlane/embedding.h"

namespace rowlane::ops {

// The dispatcher ops; schemas in csrc/library.cpp. padding_idx is a row number and does not wrap.
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     const std::optional<c10::SymInt>& padding_idx, std::string_view algorithm);
at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              const c10::SymInt& num_embeddings,
                              const std::optional<c10::SymInt>& padding_idx,
                              std::string_view algorithm);

// Ranks, dtypes, devices and the name of the algorithm: what is known even of tensors without data.
void check_embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::string_view algorithm);
void check_embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::string_view algorithm);

// padding_idx must be a row. `op` begins the message.
void check_padding_idx(std::string_view op, std::optional<std::int64_t> padding_idx,
                       std::int64_t num_rows);

// The inverse of to_string. `op` begins the message if there is no such algorithm.
BackwardAlgorithm parse_algorithm(std::string_view op, std::string_view algorithm);

// [*indices.shape, dim]
std::vector<std::int64_t> output_sizes(const at::Tensor& indices, std::int64_t dim);

}  // namespace rowlane::ops
