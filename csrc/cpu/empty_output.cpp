#include "csrc/cpu/empty_output.h"

#include <ATen/ops/empty.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdint>

namespace rowlane::cpu {

at::Tensor empty_output(at::IntArrayRef sizes, const at::TensorOptions& options) {
  at::Tensor output = at::empty(sizes, options);
#ifdef MADV_HUGEPAGE
  // From this size on glibc always maps a block of its own and gives it back when it is freed, so
  // the mark stays with this tensor (M_MMAP_THRESHOLD's maximum).
  constexpr std::size_t kOwnMappingBytes = 32 << 20;
  if (output.nbytes() >= kOwnMappingBytes) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = std::bit_cast<std::uintptr_t>(output.mutable_data_ptr());
    const std::uintptr_t first_page = (begin + page - 1) / page * page;
    const std::uintptr_t end = (begin + output.nbytes()) / page * page;
    // A hint: if it is refused, the pages are small.
    static_cast<void>(madvise(std::bit_cast<void*>(first_page), end - first_page, MADV_HUGEPAGE));
  }
#endif
  return output;
}

}  // namespace rowlane::cpu
