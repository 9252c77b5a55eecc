// Memory in huge pages.
#pragma once

#include <sys/mman.h>

#include <cstddef>

namespace rowlane::cpu {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Asks for them before the memory is touched. A hint: if it is refused, the pages are small.
inline void advise_huge_pages(void* data, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  static_cast<void>(madvise(data, bytes, MADV_HUGEPAGE));
#endif
}

}  // namespace rowlane::cpu
