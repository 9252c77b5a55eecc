// Who waits for the gradient of a leaf.
#pragma once

#include <ATen/core/Tensor.h>

namespace rowlane::autograd {

// Hooks of the tensor itself, which see its gradient before or after it is accumulated.
bool has_hooks(const at::Tensor& leaf);
// Hooks of the node that accumulates its gradient: torch's DistributedDataParallel has one there,
// which sums the gradients of all processes.
bool has_accumulation_hooks(const at::Tensor& leaf);

}  // namespace rowlane::autograd
