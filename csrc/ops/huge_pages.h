// New tensors in huge pages.
#pragma once

#include <ATen/ops/empty.h>

#include "rowlane/huge_pages.h"

namespace rowlane::ops {

// About to be overwritten; on a device as at::empty.
inline at::Tensor empty_in_huge_pages(at::IntArrayRef sizes, const at::TensorOptions& options) {
  at::Tensor tensor = at::empty(sizes, options);
  use_huge_pages(tensor);
  return tensor;
}

}  // namespace rowlane::ops
