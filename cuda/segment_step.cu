// Instantiations of the segment reduce that ends in an optimizer's step.
#include "cuda/segment_launch.cuh"
#include "cuda/segment_step.h"
#include "cuda/step_sink.cuh"

namespace rowlane::kernels {

Status segment_step(const SegmentReduceArgs& args, const RowStep& step, const SegmentPolicy& policy,
                    Stream stream) {
  if (args.num_indices == 0 || args.dim == 0) {
    return Status::error("a segment reduce needs indices and columns");
  }
  if (!rule_traits(step.rule).is_elementwise || step.target.counts_rows) {
    return Status::error(
        "a segment reduce steps rows by an elementwise rule with one step number for all of them");
  }
  return dispatch_elem(args.elem_type, [&]<typename ElemT>() {
    return dispatch_source<ElemT>(args.source, [&](const auto& source) {
      return reduce_into(args, policy, source,
                         StepRowSink<ElemT>{.step = make_step_args<ElemT>(step)}, stream);
    });
  });
}

}  // namespace rowlane::kernels
