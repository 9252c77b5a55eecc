// Device body of the step of rows.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"
#include "cuda/step_rule.cuh"

namespace rowlane::kernels {

template <typename ElemT>
struct RowStepKernelArgs {
  StepKernelArgs<ElemT> step;
  const std::int64_t* __restrict__ rows;       // [max_slots], all different
  const ElemT* __restrict__ values;            // [max_slots, dim]
  const std::int64_t* __restrict__ num_slots;  // [1], or null
  std::int64_t max_slots;
  IndexReport* report;  // or null
  int lanes_log2;
};

// Steps a row by a group of 2^lanes_log2 threads. Row-wise rules read the row once for its sums and
// once more, from L1, for the step. A row's numbers, its t and its state, are read and written by
// the group's first thread, and handed to the others by shuffles. No shared memory; atomics to
// report rows alone; a row is written by one group.
template <typename ElemT, int kElems>
__global__ void __launch_bounds__(kBlockThreads, row_step_blocks_per_sm(kElems, int{sizeof(ElemT)}))
    row_step_kernel(RowStepKernelArgs<ElemT> args) {
  using AccumT = simt::Accum<ElemT>;
  const StepKernelArgs<ElemT>& step = args.step;
  const int lanes = 1 << args.lanes_log2;
  const int lane = simt::thread_id() & (lanes - 1);
  const int columns_per_pass = lanes * kElems;
  const std::int64_t slot =
      (simt::block_id() * kBlockThreads + simt::thread_id()) >> args.lanes_log2;
  const std::int64_t num_slots =
      args.num_slots != nullptr ? simt::load_nc(args.num_slots) : args.max_slots;

  bool is_active = slot < num_slots;
  std::int64_t row = 0;
  if (is_active) {
    row = simt::load_nc(args.rows + slot);
    if (!is_row(row, step.num_rows)) {
      if (lane == 0) {
        report_index(args.report, slot, row, step.num_rows);
      }
      is_active = false;
    }
  }
  const bool is_first = is_active && lane == 0;

  std::int64_t t = step.step;
  StepScale<AccumT> now = step.scale;
  if (step.counts_rows) {
    t = is_first ? simt::load(step.row_steps + row) + 1 : 1;
    t = simt::shfl(simt::kFullMask, t, 0, lanes);
    now = step_scale<AccumT>(step.rule, step.lr, step.beta1, step.beta2, t);
  }

  const auto load_gradient = [&](std::int64_t column, AccumT(&g)[kElems]) {
    const auto value = simt::load_nc<simt::Hint::kEvictFirst>(
        reinterpret_cast<const simt::Vec<ElemT, kElems>*>(args.values + slot * step.dim + column));
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      g[e] = simt::to_accum(value.v[e]);
    }
  };

  AccumT row_lr = 0;
  const int first_column = lane * kElems;
  if (step.is_row_wise) {
    AccumT sums[2] = {};
    if (is_active) {
      for (std::int64_t c = first_column; c < step.dim; c += columns_per_pass) {
        AccumT g[kElems];
        load_gradient(c, g);
        auto piece = step.template load<kElems>(row_offset(row, step.dim) + c);
        step.add_to_row_sums(g, piece, now, sums);
      }
    }
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
      sums[0] += simt::shfl_xor(simt::kFullMask, sums[0], distance);
      sums[1] += simt::shfl_xor(simt::kFullMask, sums[1], distance);
    }
    const bool has_row_state = step.row_state != nullptr;
    AccumT row_sum = is_first && has_row_state ? simt::load(step.row_state + row) : AccumT{0};
    row_lr = step.row_lr(sums, row_sum, now);
    row_lr = simt::shfl(simt::kFullMask, row_lr, 0, lanes);
    if (is_first && has_row_state) {
      simt::store(step.row_state + row, row_sum);
    }
  }
  if (!is_active) {
    return;
  }

  for (std::int64_t c = first_column; c < step.dim; c += columns_per_pass) {
    AccumT g[kElems];
    load_gradient(c, g);
    const std::int64_t offset = row_offset(row, step.dim) + c;
    auto piece = step.template load<kElems>(offset);
    if (step.is_row_wise) {
      step.step_row_wise(g, piece, now, row_lr);
    } else {
      step.step_elements(g, piece, now);
    }
    step.store(offset, row, c, piece);
  }
  if (is_first && step.row_steps != nullptr) {
    simt::store(step.row_steps + row, t);
  }
}

}  // namespace rowlane::kernels
