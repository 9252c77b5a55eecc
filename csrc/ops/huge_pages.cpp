#include "csrc/ops/huge_pages.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#if __has_include(<linux/mman.h>)
#include <linux/mman.h>  // MADV_COLLAPSE, which older C libraries lack
#endif

#include <bit>
#include <cstdint>

namespace rowlane {
namespace {

// More than a processor translates without a walk through page tables: some thousand small pages.
constexpr std::size_t kMinTableBytes = std::size_t{8} << 20;

// Other memory may be a file's, or shared with other processes.
bool is_from_torch(const at::Tensor& table) {
  return table.storage().data_ptr().get_deleter() == c10::GetDefaultCPUAllocator()->raw_deleter();
}

}  // namespace

void use_huge_pages(const at::Tensor& table) {
  if (!table.is_cpu() || !table.has_storage() || table.storage().nbytes() < kMinTableBytes ||
      !is_from_torch(table)) {
    return;
  }
  constexpr std::uintptr_t kPage = ops::kHugePageBytes;
  const auto begin = std::bit_cast<std::uintptr_t>(table.storage().data());
  const std::uintptr_t end = (begin + table.storage().nbytes()) / kPage * kPage;
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  auto* const pages = std::bit_cast<void*>(first);
  ops::advise_huge_pages(pages, end - first);
#ifdef MADV_COLLAPSE
  // Pages that were touched, which the system may refuse, too.
  static_cast<void>(madvise(pages, end - first, MADV_COLLAPSE));
#endif
}

}  // namespace rowlane
