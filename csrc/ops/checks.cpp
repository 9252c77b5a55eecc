// Mistakes that a user can make, each a sentence with the argument's name and what was got.
#include <ATen/MemoryOverlap.h>

#include <array>
#include <utility>

#include "csrc/ops/embedding.h"

namespace rowlane {
namespace {

constexpr std::array<std::pair<std::string_view, BackwardAlgorithm>, 4> kAlgorithms{{
    {"auto", BackwardAlgorithm::kAuto},
    {"atomic", BackwardAlgorithm::kAtomic},
    {"sorted", BackwardAlgorithm::kSorted},
    {"small", BackwardAlgorithm::kSmall},
}};

void check_indices(std::string_view op, const at::Tensor& indices) {
  TORCH_CHECK_TYPE(indices.scalar_type() == at::kLong || indices.scalar_type() == at::kInt, op,
                   ": indices must be int32 or int64, got ", indices.scalar_type());
}

void check_same_device(std::string_view op, std::string_view name, const at::Tensor& tensor,
                       const at::Tensor& indices) {
  TORCH_CHECK(tensor.device() == indices.device(), op, ": ", name,
              " and indices must be on the same device, got ", tensor.device(), " and ",
              indices.device());
}

}  // namespace

std::string_view to_string(BackwardAlgorithm algorithm) {
  for (const auto& [name, value] : kAlgorithms) {
    if (value == algorithm) {
      return name;
    }
  }
  TORCH_CHECK_VALUE(false,
                    "rowlane::to_string: not a BackwardAlgorithm: ", static_cast<int>(algorithm));
}

namespace ops {

void check_table(std::string_view op, const at::Tensor& weight) {
  TORCH_CHECK(weight.dim() == 2, op,
              ": 'weight' must be 2-D [num_embeddings, embedding_dim], got shape ",
              weight.sym_sizes());
}

void check_summable(std::string_view op, std::string_view name, const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  TORCH_CHECK_TYPE(
      type == at::kHalf || type == at::kBFloat16 || type == at::kFloat || type == at::kDouble, op,
      ": ", name, " must be half, bfloat16, float or double, got ", type);
}

void check_embedding(const at::Tensor& weight, const at::Tensor& indices, bool sparse,
                     bool row_gradient, std::string_view algorithm) {
  constexpr std::string_view kOp = "rowlane::embedding";
  check_table(kOp, weight);
  check_indices(kOp, indices);
  check_same_device(kOp, "weight", weight, indices);
  const BackwardAlgorithm parsed = parse_algorithm(kOp, algorithm);
  TORCH_CHECK_VALUE(!(sparse && row_gradient), kOp,
                    ": sparse and row_gradient are two layouts of the gradient, got both");
  TORCH_CHECK_VALUE(!sparse || parsed == BackwardAlgorithm::kAuto, kOp,
                    ": sparse gradients are not summed, so algorithm must be 'auto', got '",
                    algorithm, "'");
  TORCH_CHECK_VALUE(
      !row_gradient || parsed == BackwardAlgorithm::kAuto || parsed == BackwardAlgorithm::kSorted,
      kOp, ": algorithm must be 'auto' or 'sorted' for a row_gradient, got '", algorithm, "'");
}

void check_gradient(std::string_view op, const at::Tensor& grad_output, const at::Tensor& indices,
                    std::string_view algorithm) {
  check_summable(op, "grad_output", grad_output);
  check_indices(op, indices);
  TORCH_CHECK(grad_output.dim() == indices.dim() + 1 &&
                  grad_output.sym_sizes().slice(0, static_cast<std::size_t>(indices.dim())) ==
                      indices.sym_sizes(),
              op, ": grad_output must have the shape of indices and one more dim, got ",
              grad_output.sym_sizes(), " and indices ", indices.sym_sizes());
  check_same_device(op, "grad_output", grad_output, indices);
  parse_algorithm(op, algorithm);
}

void check_renorm(std::string_view op, const at::Tensor& weight, const at::Tensor& indices,
                  double max_norm, double norm_type) {
  check_table(op, weight);
  check_summable(op, "weight", weight);
  check_indices(op, indices);
  check_same_device(op, "weight", weight, indices);
  check_norm(op, max_norm, norm_type);
  TORCH_CHECK(at::has_internal_overlap(weight) != at::MemOverlap::Yes, op,
              ": weight must not overlap itself to be scaled to max_norm, got strides ",
              weight.strides());
}

void check_rows(std::string_view op, std::int64_t num_embeddings,
                std::optional<std::int64_t> padding_idx) {
  TORCH_CHECK_VALUE(num_embeddings >= 0, op, ": num_embeddings must not be negative, got ",
                    num_embeddings);
  TORCH_CHECK_VALUE(!padding_idx || (*padding_idx >= 0 && *padding_idx < num_embeddings), op,
                    ": padding_idx ", *padding_idx, " is out of range for a table of ",
                    num_embeddings, " rows");
}

void check_backward(std::string_view op, const at::Tensor& grad_output, const at::Tensor& indices,
                    std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                    std::string_view algorithm) {
  check_gradient(op, grad_output, indices, algorithm);
  check_rows(op, num_embeddings, padding_idx);
}

std::int64_t wrap_padding_idx(std::string_view op, std::int64_t padding_idx,
                              std::int64_t num_rows) {
  TORCH_CHECK_VALUE(padding_idx >= -num_rows && padding_idx < num_rows, op, ": padding_idx ",
                    padding_idx, " is out of range for a table of ", num_rows, " rows");
  return padding_idx < 0 ? padding_idx + num_rows : padding_idx;
}

// Written so that NaN is refused.
void check_norm(std::string_view op, double max_norm, double norm_type) {
  TORCH_CHECK_VALUE(max_norm >= 0, op, ": max_norm must not be negative, got ", max_norm);
  TORCH_CHECK_VALUE(norm_type > 0, op, ": norm_type must be greater than 0, got ", norm_type);
}

BackwardAlgorithm parse_algorithm(std::string_view op, std::string_view algorithm) {
  for (const auto& [name, value] : kAlgorithms) {
    if (name == algorithm) {
      return value;
    }
  }
  TORCH_CHECK_VALUE(false, op, ": algorithm must be 'auto', 'atomic', 'sorted' or 'small', got '",
                    algorithm, "'");
}

}  // namespace ops
}  // namespace rowlane
