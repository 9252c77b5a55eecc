// The RowSink that steps a row instead of storing its gradient.
#pragma once

#include "cuda/row_address.cuh"
#include "cuda/simt/simt.cuh"
#include "cuda/step_rule.cuh"

namespace rowlane::kernels {

// For elementwise rules. The engine finishes each element of a row with an index once, and no
// other, so that no step is taken twice.
template <typename ElemT>
struct StepRowSink {
  using Elem = ElemT;
  static constexpr bool kFillsEmptyRows = false;
  static constexpr bool kRanked = false;
  static constexpr bool kIsPlain = false;
  static constexpr bool kDefersStores = true;

  StepKernelArgs<ElemT> step;

  template <int kElems>
  ROWLANE_DEVICE void store(std::int64_t /*slot*/, std::int64_t row, std::int64_t column,
                            simt::Accum<ElemT> (&sum)[kElems]) const {
    const std::int64_t offset = row_offset(row, step.dim) + column;
    auto piece = step.template load<kElems>(offset);
    step.step_elements(sum, piece, step.scale);
    step.store(offset, row, column, piece);
    if (step.row_steps != nullptr && column == 0) {
      simt::store(step.row_steps + row, step.step);
    }
  }
};

}  // namespace rowlane::kernels
