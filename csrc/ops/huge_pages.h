// Memory in huge pages, and new tensors there.
#pragma once

#include <ATen/ops/empty.h>
#include <sys/mman.h>

#include <cstddef>

#include "rowlane/huge_pages.h"

namespace rowlane::ops {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Asks for them before the memory is touched. A hint: if it is refused, the pages are small.
inline void advise_huge_pages(void* data, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  static_cast<void>(madvise(data, bytes, MADV_HUGEPAGE));
#endif
}

// About to be overwritten; on a device as at::empty.
inline at::Tensor empty_in_huge_pages(at::IntArrayRef sizes, const at::TensorOptions& options) {
  at::Tensor tensor = at::empty(sizes, options);
  use_huge_pages(tensor);
  return tensor;
}

}  // namespace rowlane::ops
