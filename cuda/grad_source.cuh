// GradSources: where the engine of the backward finds the gradient of a sorted position.
//
// A GradSource is a struct of plain values with
//   using Elem                                of the gradient
//   Vec<Elem, kElems> load<kElems>(position, column)
//   void add<kElems>(sum, loaded)             sum[e] += what was loaded, weighted or masked
// The engine has several loads under way before it adds the first.
#pragma once

#include "cuda/grad_source.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// Position p has row p of grad_output, as a look-up's backward needs it.
template <typename ElemT>
struct LookupGradSource {
  using Elem = ElemT;

  const ElemT* __restrict__ grad_output;  // [num_indices] rows
  std::int64_t row_stride;                // elements from row to row; 0 where all are the same

  template <int kElems>
  ROWLANE_DEVICE simt::Vec<ElemT, kElems> load(std::int64_t position, std::int64_t column) const {
    return simt::load_nc<simt::Hint::kEvictFirst>(reinterpret_cast<const simt::Vec<ElemT, kElems>*>(
        grad_output + position * row_stride + column));
  }

  template <int kElems>
  ROWLANE_DEVICE void add(simt::Accum<ElemT> (&sum)[kElems],
                          const simt::Vec<ElemT, kElems>& grad) const {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      sum[e] += simt::to_accum(grad.v[e]);
    }
  }
};

// Calls f(source) with the GradSource that the arguments ask for; f returns Status.
template <typename ElemT, typename F>
auto dispatch_source(const GradSourceArgs& args, F&& f) {
  return f(LookupGradSource<ElemT>{.grad_output = static_cast<const ElemT*>(args.grad_output),
                                   .row_stride = args.row_stride});
}

}  // namespace rowlane::kernels
