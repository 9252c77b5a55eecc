// The embedding ops as C++ functions, and the checks that every backend's kernel begins with.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rowlane/embedding.h"

namespace rowlane::ops {

// What a gradient needs to know of the look-up, beside the indices: arguments of the ops.
struct LookUp {
  std::optional<c10::SymInt> padding_idx = std::nullopt;  // a row number; does not wrap
  bool scale_grad_by_freq = false;
  bool sparse = false;
  bool row_gradient = false;
  std::string algorithm = "auto";
};

// The look-up that the options ask for, checked. With max_norm it scales the rows first; a call
// that throws has changed nothing.
LookUp prepare_look_up(const at::Tensor& weight, const at::Tensor& indices,
                       const EmbeddingFuncOptions& options);

// The dispatcher ops; schemas in csrc/library.cpp.
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices, const LookUp& look_up);
at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              const c10::SymInt& num_embeddings, const LookUp& look_up);
at::Tensor embedding_sparse_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                                     const c10::SymInt& num_embeddings, const LookUp& look_up);
at::Tensor embedding_row_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                                  const c10::SymInt& num_embeddings, const LookUp& look_up);
void embedding_renorm(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                      double norm_type);

// Ranks, dtypes, devices and options: what is known even of tensors without data. `op` begins the
// messages.
void check_table(std::string_view op, const at::Tensor& weight);
void check_summable(std::string_view op, std::string_view name, const at::Tensor& tensor);
void check_embedding(const at::Tensor& weight, const at::Tensor& indices, bool sparse,
                     bool row_gradient, std::string_view algorithm);
void check_gradient(std::string_view op, const at::Tensor& grad_output, const at::Tensor& indices,
                    std::string_view algorithm);
void check_renorm(std::string_view op, const at::Tensor& weight, const at::Tensor& indices,
                  double max_norm, double norm_type);

// num_embeddings must not be negative, and padding_idx must be one of its rows.
void check_rows(std::string_view op, std::int64_t num_embeddings,
                std::optional<std::int64_t> padding_idx);

// The two above, for a gradient of num_embeddings rows.
void check_backward(std::string_view op, const at::Tensor& grad_output, const at::Tensor& indices,
                    std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                    std::string_view algorithm);

// padding_idx as a row number: a negative one counts from the end of num_rows.
std::int64_t wrap_padding_idx(std::string_view op, std::int64_t padding_idx, std::int64_t num_rows);

// max_norm and norm_type must be ones that a row can be scaled to.
void check_norm(std::string_view op, double max_norm, double norm_type);

// The inverse of to_string. `op` begins the message if there is no such algorithm.
BackwardAlgorithm parse_algorithm(std::string_view op, std::string_view algorithm);

// [*indices.shape, dim]
std::vector<std::int64_t> output_sizes(const at::Tensor& indices, std::int64_t dim);

}  // namespace rowlane::ops
