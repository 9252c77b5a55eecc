// Memory for results on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace rowlane::cpu {

// at::empty for a tensor that is about to be overwritten. A large one is marked for huge pages: its
// memory is fresh from the kernel, and touching it in pages of 4 KiB takes several times as long as
// writing it (zeroing 154 MB: 114 ms and 28 ms of processor time on an AMD EPYC with Linux 6.18).
// Without transparent huge pages nothing changes.
at::Tensor empty_output(at::IntArrayRef sizes, const at::TensorOptions& options);

}  // namespace rowlane::cpu
