#include "csrc/ops/embedding.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <array>
#include <utility>

namespace rowlane {
namespace {

constexpr std::array<std::pair<std::string_view, BackwardAlgorithm>, 4> kAlgorithms{{
    {"auto", BackwardAlgorithm::kAuto},
    {"atomic", BackwardAlgorithm::kAtomic},
    {"sorted", BackwardAlgorithm::kSorted},
    {"small", BackwardAlgorithm::kSmall},
}};

void check_indices_tensor(std::string_view op, const at::Tensor& indices) {
  TORCH_CHECK_TYPE(indices.scalar_type() == at::kLong || indices.scalar_type() == at::kInt, op,
                   ": indices must be int32 or int64, got ", indices.scalar_type());
}

void check_same_device(std::string_view op, std::string_view name, const at::Tensor& tensor,
                       const at::Tensor& indices) {
  TORCH_CHECK(tensor.device() == indices.device(), op, ": ", name,
              " and indices must be on the same device, got ", tensor.device(), " and ",
              indices.device());
}

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
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

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     const EmbeddingFuncOptions& options) {
  std::optional<c10::SymInt> padding_idx;
  if (options.padding_idx().has_value()) {
    TORCH_CHECK(
        weight.dim() == 2,
        "rowlane::embedding: weight must be 2-D [num_embeddings, embedding_dim], got shape ",
        weight.sizes());
    const std::int64_t num_rows = weight.size(0);
    const std::int64_t row = *options.padding_idx();
    TORCH_CHECK_VALUE(row >= -num_rows && row < num_rows, "rowlane::embedding: padding_idx ", row,
                      " is out of range for a table of ", num_rows, " rows");
    padding_idx = row < 0 ? row + num_rows : row;
  }
  return ops::embedding(weight, indices, padding_idx, to_string(options.algorithm()));
}

namespace ops {

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     const std::optional<c10::SymInt>& padding_idx, std::string_view algorithm) {
  static const auto op =
      find_op<at::Tensor(const at::Tensor&, const at::Tensor&, std::optional<c10::SymInt>,
                         std::string_view)>("rowlane::embedding");
  return op.call(weight, indices, padding_idx, algorithm);
}

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              const c10::SymInt& num_embeddings,
                              const std::optional<c10::SymInt>& padding_idx,
                              std::string_view algorithm) {
  static const auto op = find_op<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt,
                                            std::optional<c10::SymInt>, std::string_view)>(
      "rowlane::embedding_backward");
  return op.call(grad_output, indices, num_embeddings, padding_idx, algorithm);
}

void check_embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::string_view algorithm) {
  constexpr std::string_view kOp = "rowlane::embedding";
  TORCH_CHECK(weight.dim() == 2, kOp,
              ": weight must be 2-D [num_embeddings, embedding_dim], got shape ",
              weight.sym_sizes());
  TORCH_CHECK(weight.layout() == at::kStrided, kOp, ": weight must be a dense tensor, got layout ",
              weight.layout());
  check_indices_tensor(kOp, indices);
  check_same_device(kOp, "weight", weight, indices);
  parse_algorithm(kOp, algorithm);
}

void check_embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::string_view algorithm) {
  constexpr std::string_view kOp = "rowlane::embedding_backward";
  const at::ScalarType type = grad_output.scalar_type();
  TORCH_CHECK_TYPE(
      type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16, kOp,
      ": grad_output must be float32, float64, float16 or bfloat16, got ", type);
  check_indices_tensor(kOp, indices);
  TORCH_CHECK(grad_output.dim() == indices.dim() + 1 &&
                  grad_output.sym_sizes().slice(0, static_cast<std::size_t>(indices.dim())) ==
                      indices.sym_sizes(),
              kOp, ": grad_output must have the shape of indices and one more dim, got ",
              grad_output.sym_sizes(), " and indices ", indices.sym_sizes());
  check_same_device(kOp, "grad_output", grad_output, indices);
  parse_algorithm(kOp, algorithm);
}

void check_padding_idx(std::string_view op, std::optional<std::int64_t> padding_idx,
                       std::int64_t num_rows) {
  TORCH_CHECK_VALUE(!padding_idx || (*padding_idx >= 0 && *padding_idx < num_rows), op,
                    ": padding_idx ", *padding_idx, " is out of range for a table of ", num_rows,
                    " rows");
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

std::vector<std::int64_t> output_sizes(const at::Tensor& indices, std::int64_t dim) {
  std::vector<std::int64_t> sizes = indices.sizes().vec();
  sizes.push_back(dim);
  return sizes;
}

}  // namespace ops
}  // namespace rowlane
