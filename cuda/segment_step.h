// The segment reduce that ends in an optimizer's step: no gradient of a row is ever stored.
#pragma once

#include "policy.h"
#include "segment_reduce.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "step_rule.h"

namespace rowlane::kernels {

// As segment_reduce() with the target kStep, whose policy it takes: each row that has an index
// takes the step once, by the sum of its gradients, and is read and written once; the others stay.
// The rule must be elementwise, and the target must not count rows: a row's columns may belong to
// several blocks. rows_out, row_numbers and num_slots are not used.
Status segment_step(const SegmentReduceArgs& args, const RowStep& step, const SegmentPolicy& policy,
                    Stream stream);

}  // namespace rowlane::kernels
