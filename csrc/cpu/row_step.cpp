// Steps of optimizers on the CPU.
#include "csrc/ops/row_step.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/row_gradient.h"
#include "csrc/cpu/scatter_sums.h"
#include "csrc/cpu/scratch.h"
#include "csrc/cpu/sort_indices.h"
#include "csrc/cpu/sorted_sums.h"
#include "csrc/cpu/step_table.h"
#include "csrc/cpu/threads.h"

namespace rowlane::cpu {
namespace {

// Rows that a thread steps before it takes the next ones.
constexpr std::int64_t kBlockRows = 512;

void check_rows_differ(std::string_view op, const at::Tensor& rows, std::int64_t num_rows) {
  const auto* const data = rows.const_data_ptr<std::int64_t>();
  const std::int64_t size = rows.numel();
  bool ascends = true;
  for (std::int64_t i = 0; i < size; ++i) {
    TORCH_CHECK_INDEX(data[i] >= 0 && data[i] < num_rows, op, ": rows[", i, "] is ", data[i],
                      ", out of range: the table has ", num_rows, " rows");
    ascends = ascends && (i == 0 || data[i] > data[i - 1]);
  }
  if (ascends) {
    return;
  }
  std::vector<std::int64_t> sorted(data, data + size);
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  TORCH_CHECK_VALUE(twice == sorted.end(), op, ": rows must be all different, got ", *twice,
                    " twice");
}

// rows [U], all different, and values [U, D], not empty: both contiguous.
void step_rows(const StepArgs& args, const at::Tensor& rows, const at::Tensor& values) {
  const std::int64_t num_rows = rows.numel();
  const std::int64_t num_threads = threads_for(static_cast<std::int64_t>(values.nbytes()));
  const std::int64_t block_rows = num_threads == 1 ? num_rows : kBlockRows;
  const std::int64_t scratch_bytes =
      kStepScratchRows * args.table.dim * accum_bytes(values.scalar_type());
  Scratch scratch(num_threads * scratch_bytes);
  const ElemStepLoops& loops = elem_step_loops(values.scalar_type());
  for_each_block((num_rows + block_rows - 1) / block_rows, num_threads,
                 [&](std::int64_t block, std::int64_t thread) {
                   loops.step_rows(args, rows.const_data_ptr<std::int64_t>(),
                                   values.const_data_ptr(), block * block_rows,
                                   std::min(num_rows, (block + 1) * block_rows),
                                   scratch.get() + thread * scratch_bytes);
                 });
}

StepArgs step_args(const ops::StepCall& call) {
  return {.table = step_table(call.target, call.rule),
          .rule = call.rule,
          .numbers = call.numbers,
          .counts_rows = call.target.counts_rows,
          .divides_by_count = false};
}

void step_by_rows(const ops::RowStepCall& call) {
  const at::Tensor row_list = call.rows.contiguous();
  check_rows_differ(call.kOp, row_list, call.target.weight.size(0));
  if (call.values.numel() > 0) {
    step_rows(step_args(call), row_list, call.values.contiguous());
  }
}

// Whether the row gradient of these look-ups is summed by scattering, which is faster for small
// tables, and in another order than sorted sums. Then so does the step, whose bits are those of a
// step by the row gradient. A row gradient of 16 bits is rounded, the sums of a step are not.
bool is_scattered(const GradRows& grads, std::int64_t num_rows, std::int64_t num_indices) {
  return c10::elementSize(grads.dtype) >= sizeof(float) &&
         select_scatter_shares(num_rows, num_indices, grads) > 0;
}

void step_by_look_ups(const ops::EmbeddingStepCall& call) {
  const at::Tensor index_list = call.indices.contiguous();
  const std::int64_t num_rows = call.target.weight.size(0);
  const std::int64_t padding_row = call.padding_idx.value_or(-1);
  if (call.grad_output.numel() == 0) {
    dispatch_index(index_list, [&]<typename IndexT>() {
      check_indices<IndexT>(call.kOp, index_list, num_rows);
    });
    return;
  }
  const GradRows grads = grad_rows(call.grad_output);
  StepArgs args = step_args(call);
  if (!call.scale_grad_by_freq && is_scattered(grads, num_rows, index_list.numel())) {
    const auto [rows, sums] = row_gradient(call.kOp, call.grad_output, index_list, num_rows,
                                           padding_row, /*scale_by_count=*/false);
    if (sums.numel() > 0) {
      step_rows(args, rows, sums);
    }
    return;
  }
  const SortedIndices sorted(call.kOp, index_list, num_rows, padding_row);
  if (sorted.size() > 0) {
    args.divides_by_count = call.scale_grad_by_freq;
    sorted_row_steps(sorted, grads, args);
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) {
  m.impl("row_step_", &ops::StepKernel<ops::RowStepCall, &step_by_rows>::run);
  m.impl("embedding_step_", &ops::StepKernel<ops::EmbeddingStepCall, &step_by_look_ups>::run);
}

}  // namespace rowlane::cpu
