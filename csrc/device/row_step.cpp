// Steps of optimizers on rows by device code: tensors to raw pointers, statuses to exceptions.
#include "csrc/ops/row_step.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <cstring>
#include <vector>

#include "csrc/device/convert.h"
#include "csrc/device/index_errors.h"
#include "csrc/device/stream.h"
#include "csrc/device/tuning.h"
#include "csrc/ops/grad_rows.h"
#include "cuda/backward_step.h"
#include "cuda/row_catch_up.h"
#include "cuda/row_step.h"

namespace rowlane::device {
namespace {

kernels::RowStep make_step(const ops::StepCall& call) {
  const ops::StepTarget& target = call.target;
  kernels::RowStep step{.target = {.weight = target.weight.mutable_data_ptr(),
                                   .num_rows = target.weight.size(0),
                                   .dim = target.weight.size(1),
                                   .elem_type = elem_type(target.weight),
                                   .states = {},
                                   .states_are_float = !target.state.empty() &&
                                                       target.state[0].scalar_type() == at::kFloat,
                                   .counts_rows = target.counts_rows,
                                   .rounds_at_random = target.seed.has_value(),
                                   .seed = static_cast<std::uint64_t>(target.seed.value_or(0))},
                        .rule = call.rule,
                        .numbers = call.numbers};
  for (std::size_t s = 0; s < target.state.size(); ++s) {
    step.target.states[s] = target.state[s].mutable_data_ptr();
  }
  if (target.row_steps.defined()) {
    step.target.row_steps = target.row_steps.mutable_data_ptr<std::int64_t>();
  }
  if (target.master.defined()) {
    step.target.master = target.master.mutable_data_ptr<float>();
  }
  return step;
}

void row_step(const ops::RowStepCall& call) {
  const c10::Device device = call.target.weight.device();
  const c10::DeviceGuard guard(device);
  const IndexCheck check(call.kOp, device);
  const at::Tensor row_list = call.rows.contiguous();
  const at::Tensor value_list = call.values.contiguous();
  check_status(call.kOp, kernels::row_step({.step = make_step(call),
                                            .rows = row_list.const_data_ptr<std::int64_t>(),
                                            .values = value_list.const_data_ptr(),
                                            .max_slots = row_list.numel(),
                                            .report = check.report()},
                                           current_stream(device)));
  check.finish();
}

void embedding_step(const ops::EmbeddingStepCall& call) {
  const at::Tensor& weight = call.target.weight;
  const c10::Device device = weight.device();
  const kernels::RowStep step = make_step(call);
  const c10::DeviceGuard guard(device);
  const IndexCheck check(call.kOp, device);
  const auto [grad, grad_row_stride, repeats] =
      ops::grad_rows(call.grad_output, /*keeps_repeats=*/false);
  const at::Tensor index_list = call.indices.contiguous();
  const kernels::BackwardProblem problem{
      .num_rows = weight.size(0),
      .dim = weight.size(1),
      .num_indices = index_list.numel(),
      .padding_row = call.padding_idx.value_or(-1),
      .source = {.grad_output = grad.const_data_ptr(), .row_stride = grad_row_stride},
      .address_bits = address_bits(grad),
      .scale_by_count = call.scale_grad_by_freq,
      .elem_type = elem_type(weight),
      .index_type = index_type(index_list)};
  kernels::BackwardStepPlan plan;
  check_status(call.kOp, kernels::plan_backward_step(problem, step, &plan, tuning(device)));
  const at::Tensor workspace = make_workspace(plan.total_bytes, weight);
  check_status(call.kOp, kernels::backward_step({.step = step,
                                                 .indices = index_list.const_data_ptr(),
                                                 .workspace = workspace.mutable_data_ptr(),
                                                 .report = check.report()},
                                                plan, current_stream(device)));
  check.finish();
}

void row_catch_up(const ops::RowCatchUpCall& call) {
  const at::Tensor& weight = call.target.weight;
  const c10::Device device = weight.device();
  const std::vector<ops::StepNumbers> numbers = call.lines();
  const c10::DeviceGuard guard(device);
  const IndexCheck check(call.kOp, device);
  kernels::RowCatchUpArgs args{
      .step = make_step(call), .last_step = call.last_step, .report = check.report()};
  at::Tensor index_list;
  if (call.indices) {
    index_list = call.indices->contiguous();
    args.indices = index_list.const_data_ptr();
    args.index_type = index_type(index_list);
    args.num_indices = index_list.numel();
  }
  const std::vector<kernels::CatchUpLine> lines =
      kernels::catch_up_lines(args.step, numbers, call.last_step);
  const auto line_bytes = static_cast<std::int64_t>(lines.size() * sizeof(kernels::CatchUpLine));
  // From pinned memory the copy waits for nothing; torch keeps the memory until it is done.
  const at::Tensor host_lines =
      at::empty({line_bytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(kPinned));
  std::memcpy(host_lines.mutable_data_ptr(), lines.data(), static_cast<std::size_t>(line_bytes));
  const at::Tensor device_lines = host_lines.to(device, at::kByte, /*non_blocking=*/true);
  args.lines = static_cast<const kernels::CatchUpLine*>(device_lines.const_data_ptr());
  args.num_lines = static_cast<std::int64_t>(lines.size());
  std::int64_t workspace_bytes = 0;
  check_status(call.kOp, kernels::row_catch_up_workspace_bytes(args, &workspace_bytes));
  const at::Tensor workspace = make_workspace(workspace_bytes, weight);
  args.workspace = workspace.mutable_data_ptr();
  check_status(call.kOp, kernels::row_catch_up(args, current_stream(device)));
  check.finish();
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, ROWLANE_DEVICE_KEY, m) {
  m.impl("row_step_", &ops::StepKernel<ops::RowStepCall, &row_step>::run);
  m.impl("row_catch_up_", &ops::StepKernel<ops::RowCatchUpCall, &row_catch_up>::run);
  m.impl("embedding_step_", &ops::StepKernel<ops::EmbeddingStepCall, &embedding_step>::run);
}

}  // namespace rowlane::device
