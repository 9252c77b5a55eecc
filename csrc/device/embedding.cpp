// Look-up and its backward by device code: tensors to raw pointers, statuses to exceptions.
#include "csrc/ops/embedding.h"

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <bit>
#include <cstdlib>

#include "csrc/device/index_errors.h"
#include "csrc/device/stream.h"
#include "csrc/device/tuning.h"
#include "cuda/backward.h"
#include "cuda/gather.h"

namespace rowlane::device {
namespace {

using kernels::BackwardRequest;

void check_status(std::string_view op, const kernels::Status& status) {
  TORCH_CHECK(status.ok(), op, ": ", status.message());
}

kernels::IndexType index_type(const at::Tensor& indices) {
  return indices.scalar_type() == at::kInt ? kernels::IndexType::kInt32
                                           : kernels::IndexType::kInt64;
}

// The dtype has been checked.
kernels::ElemType elem_type(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return kernels::ElemType::kFloat32;
    case at::kDouble:
      return kernels::ElemType::kFloat64;
    case at::kHalf:
      return kernels::ElemType::kFloat16;
    default:
      return kernels::ElemType::kBFloat16;
  }
}

std::uint64_t address_bits(const at::Tensor& tensor) {
  return std::bit_cast<std::uintptr_t>(tensor.const_data_ptr());
}

// What 'auto' stands for.
BackwardAlgorithm default_algorithm() {
  const char* const name = std::getenv("ROWLANE_BACKWARD");
  return name == nullptr ? BackwardAlgorithm::kAuto
                         : ops::parse_algorithm("ROWLANE_BACKWARD", name);
}

BackwardRequest backward_request(std::string_view op, std::string_view name) {
  BackwardAlgorithm algorithm = ops::parse_algorithm(op, name);
  if (algorithm == BackwardAlgorithm::kAuto) {
    algorithm = default_algorithm();
  }
  switch (algorithm) {
    case BackwardAlgorithm::kAtomic:
      at::globalContext().alertNotDeterministic(std::string(op) + " with algorithm 'atomic'");
      return BackwardRequest::kAtomic;
    case BackwardAlgorithm::kSorted:
      return BackwardRequest::kSorted;
    case BackwardAlgorithm::kSmall:
      return BackwardRequest::kSmall;
    case BackwardAlgorithm::kAuto:
      break;
  }
  return BackwardRequest::kAuto;
}

// Gradient rows, [*, dim], whose columns are neighbours, and the elements from row to row.
struct GradRows {
  at::Tensor rows;
  std::int64_t stride;
};

// Rows that are all the same one, as of a sum's gradient, stay one.
GradRows grad_rows(const at::Tensor& grad_output) {
  const std::int64_t dims = grad_output.dim();
  bool is_expanded = grad_output.numel() > 0 && dims > 1;
  for (std::int64_t d = 0; d + 1 < dims; ++d) {
    is_expanded = is_expanded && (grad_output.stride(d) == 0 || grad_output.size(d) == 1);
  }
  if (!is_expanded) {
    return {grad_output.contiguous(), grad_output.size(-1)};
  }
  at::Tensor row = grad_output;
  for (std::int64_t d = 0; d + 1 < dims; ++d) {
    row = row.select(0, 0);
  }
  return {row.contiguous(), 0};
}

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::optional<std::int64_t> padding_idx, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding";
  ops::check_embedding(weight, indices, algorithm);
  ops::check_padding_idx(kOp, padding_idx, weight.size(0));
  const c10::DeviceGuard guard(weight.device());
  const IndexCheck check(kOp, weight.device());

  const std::int64_t dim = weight.size(1);
  const at::Tensor table = weight.stride(1) == 1 || dim <= 1 ? weight : weight.contiguous();
  const at::Tensor index_list = indices.contiguous();
  at::Tensor out = at::empty(ops::output_sizes(indices, dim), weight.options());
  const auto elem_bytes = static_cast<std::int64_t>(weight.element_size());
  check_status(kOp, kernels::gather({.table = table.const_data_ptr(),
                                     .num_rows = table.size(0),
                                     .row_bytes = dim * elem_bytes,
                                     .table_stride_bytes = table.stride(0) * elem_bytes,
                                     .indices = index_list.const_data_ptr(),
                                     .index_type = index_type(index_list),
                                     .num_indices = index_list.numel(),
                                     .out = out.mutable_data_ptr(),
                                     .report = check.report()},
                                    current_stream(weight.device())));
  check.finish();
  return out;
}

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                              std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_backward";
  ops::check_embedding_backward(grad_output, indices, algorithm);
  ops::check_padding_idx(kOp, padding_idx, num_embeddings);
  const c10::DeviceGuard guard(grad_output.device());
  const IndexCheck check(kOp, grad_output.device());

  const auto [grad, grad_row_stride] = grad_rows(grad_output);
  const at::Tensor index_list = indices.contiguous();
  at::Tensor grad_table = at::empty({num_embeddings, grad.size(-1)}, grad.options());
  const kernels::BackwardProblem problem{
      .num_rows = num_embeddings,
      .dim = grad.size(-1),
      .num_indices = index_list.numel(),
      .padding_row = padding_idx.value_or(-1),
      .grad_row_stride = grad_row_stride,
      .address_bits = address_bits(grad) | address_bits(grad_table),
      .elem_type = elem_type(grad),
      .index_type = index_type(index_list)};
  kernels::BackwardPolicy policy;
  check_status(kOp, kernels::select_backward_policy(problem, backward_request(kOp, algorithm),
                                                    &policy, tuning(grad.device())));
  kernels::BackwardWorkspace plan;
  check_status(kOp, kernels::plan_backward_workspace(problem, policy, &plan));
  const at::Tensor workspace = at::empty({plan.total_bytes}, grad.options().dtype(at::kByte));
  check_status(kOp, kernels::backward({.problem = problem,
                                       .grad_output = grad.const_data_ptr(),
                                       .indices = index_list.const_data_ptr(),
                                       .rows_out = grad_table.mutable_data_ptr(),
                                       .workspace = workspace.mutable_data_ptr(),
                                       .report = check.report()},
                                      policy, current_stream(grad.device())));
  check.finish();
  return grad_table;
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, ROWLANE_DEVICE_KEY, m) {
  m.impl("embedding", &embedding);
  m.impl("embedding_backward", &embedding_backward);
}

}  // namespace rowlane::device
