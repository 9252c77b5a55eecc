// Gradients of the table by device code: dense, row gradient and sparse.
#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdlib>

#include "csrc/device/convert.h"
#include "csrc/device/index_errors.h"
#include "csrc/device/stream.h"
#include "csrc/device/tuning.h"
#include "csrc/ops/coo_gradient.h"
#include "csrc/ops/embedding.h"
#include "csrc/ops/grad_rows.h"
#include "cuda/backward.h"

namespace rowlane::device {
namespace {

using kernels::BackwardRequest;
using kernels::RowTarget;

// What 'auto' stands for.
BackwardAlgorithm default_algorithm() {
  const char* const name = std::getenv("ROWLANE_BACKWARD");
  return name == nullptr ? BackwardAlgorithm::kAuto
                         : ops::parse_algorithm("ROWLANE_BACKWARD", name);
}

BackwardRequest backward_request(std::string_view op, BackwardAlgorithm algorithm) {
  switch (algorithm) {
    case BackwardAlgorithm::kAtomic:
      at::globalContext().alertNotDeterministic(std::string(op) + " with algorithm 'atomic'");
      return BackwardRequest::kAtomic;
    case BackwardAlgorithm::kSorted:
      return BackwardRequest::kSorted;
    case BackwardAlgorithm::kSmall:
      return BackwardRequest::kSmall;
    case BackwardAlgorithm::kAuto:
      return BackwardRequest::kAuto;
  }
  TORCH_INTERNAL_ASSERT(false, op, ": not an algorithm: ", static_cast<int>(algorithm));
}

// The arguments of a backward.
struct Call {
  const char* op;
  at::Tensor grad_output;
  at::Tensor indices;
  std::int64_t num_embeddings;
  std::optional<std::int64_t> padding_idx;
  bool scale_grad_by_freq;
  RowTarget target;
};

// Where its result goes; the last two are of kCompact.
struct Result {
  at::Tensor rows_out;
  at::Tensor row_numbers = {};
  at::Tensor num_slots = {};
};

void run(const Call& call, BackwardRequest request, const Result& result) {
  const IndexCheck check(call.op, call.grad_output.device());
  const auto [grad, grad_row_stride, repeats] =
      ops::grad_rows(call.grad_output, /*keeps_repeats=*/false);
  const at::Tensor index_list = call.indices.contiguous();
  const kernels::BackwardProblem problem{
      .num_rows = call.num_embeddings,
      .dim = grad.size(-1),
      .num_indices = index_list.numel(),
      .padding_row = call.padding_idx.value_or(-1),
      .source = {.grad_output = grad.const_data_ptr(), .row_stride = grad_row_stride},
      .address_bits = address_bits(grad) | address_bits(result.rows_out),
      .target = call.target,
      .scale_by_count = call.scale_grad_by_freq,
      .elem_type = elem_type(grad),
      .index_type = index_type(index_list)};
  kernels::BackwardPolicy policy;
  check_status(call.op,
               kernels::select_backward_policy(problem, request, &policy, tuning(grad.device())));
  kernels::BackwardWorkspace plan;
  check_status(call.op, kernels::plan_backward_workspace(problem, policy, &plan));
  const at::Tensor workspace = make_workspace(plan.total_bytes, grad);
  kernels::BackwardArgs args{.problem = problem,
                             .indices = index_list.const_data_ptr(),
                             .rows_out = result.rows_out.mutable_data_ptr(),
                             .workspace = workspace.mutable_data_ptr(),
                             .report = check.report()};
  if (call.target == RowTarget::kCompact) {
    args.row_numbers = result.row_numbers.mutable_data_ptr<std::int64_t>();
    args.num_slots = result.num_slots.mutable_data_ptr<std::int64_t>();
  }
  check_status(call.op, kernels::backward(args, policy, current_stream(grad.device())));
  check.finish();
}

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                              bool scale_grad_by_freq, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_backward";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, algorithm);
  BackwardAlgorithm chosen = ops::parse_algorithm(kOp, algorithm);
  if (chosen == BackwardAlgorithm::kAuto) {
    chosen = default_algorithm();
  }
  const c10::DeviceGuard guard(grad_output.device());
  at::Tensor grad_table = at::empty({num_embeddings, grad_output.size(-1)}, grad_output.options());
  run({.op = kOp,
       .grad_output = grad_output,
       .indices = indices,
       .num_embeddings = num_embeddings,
       .padding_idx = padding_idx,
       .scale_grad_by_freq = scale_grad_by_freq,
       .target = RowTarget::kDense},
      backward_request(kOp, chosen), {.rows_out = grad_table});
  return grad_table;
}

at::Tensor embedding_row_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                                  std::int64_t num_embeddings,
                                  std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq,
                                  std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_row_gradient";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, algorithm);
  const BackwardRequest request = backward_request(kOp, ops::parse_algorithm(kOp, algorithm));
  const c10::DeviceGuard guard(grad_output.device());
  const std::int64_t capacity = std::min(num_embeddings, indices.numel());
  const auto counts = grad_output.options().dtype(at::kLong);
  const Result result{
      .rows_out = at::empty({capacity, grad_output.size(-1)}, grad_output.options()),
      .row_numbers = at::empty({capacity}, counts),
      .num_slots = at::empty({1}, counts)};
  run({.op = kOp,
       .grad_output = grad_output,
       .indices = indices,
       .num_embeddings = num_embeddings,
       .padding_idx = padding_idx,
       .scale_grad_by_freq = scale_grad_by_freq,
       .target = RowTarget::kCompact},
      request, result);
  // A COO tensor knows its size, so the host has to.
  const auto num_slots = result.num_slots.item<std::int64_t>();
  return ops::row_gradient_tensor(result.row_numbers.narrow(0, 0, num_slots),
                                  result.rows_out.narrow(0, 0, num_slots), num_embeddings);
}

at::Tensor embedding_sparse_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                                     std::int64_t num_embeddings,
                                     std::optional<std::int64_t> padding_idx) {
  constexpr const char* kOp = "rowlane::embedding_sparse_backward";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, "auto");
  const c10::DeviceGuard guard(grad_output.device());
  return ops::sparse_gradient(grad_output, indices, num_embeddings, padding_idx,
                              /*are_in_range=*/false);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, ROWLANE_DEVICE_KEY, m) {
  m.impl("embedding_backward", &embedding_backward);
  m.impl("embedding_row_gradient", &embedding_row_gradient);
  m.impl("embedding_sparse_backward", &embedding_sparse_backward);
}

}  // namespace rowlane::device
