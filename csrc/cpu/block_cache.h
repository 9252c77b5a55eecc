// Memory for results on the CPU: large blocks of huge pages that are used again.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstddef>
#include <cstdint>

namespace rowlane::cpu {

// The smallest allocation that is kept for reuse. Below, malloc keeps what is freed by itself.
inline constexpr std::size_t kMinBlockBytes = std::size_t{1} << 20;

// Fresh memory costs a page fault per 4 KiB, which takes several times as long as writing it. So
// blocks are mapped in huge pages, and what is freed is kept and handed out again.
//
// - Tensors own their block like any other memory: it comes back when the last storage that uses it
//   dies, in any thread, and a tensor that is resized allocates here again.
// - At most `capacity` bytes are kept; what was freed first goes back to the system first. The
//   environment variable ROWLANE_CPU_CACHE is the capacity in MiB (default: an eighth of the
//   machine's memory). With 0, this is torch's own allocator.
// - torch's profiler sees every block as an allocation when it is handed out and as a deallocation
//   when it comes back.
//
// Lives as long as the process; thread-safe.
c10::Allocator& block_cache();

// Bytes that are kept for reuse now.
std::size_t block_cache_kept_bytes();

// A dense tensor on the CPU that is about to be overwritten.
at::Tensor empty_output(at::IntArrayRef sizes, at::ScalarType dtype);

}  // namespace rowlane::cpu
