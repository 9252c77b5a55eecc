#include "csrc/cpu/block_cache.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "csrc/cpu/memory_limit.h"
#include "csrc/ops/huge_pages.h"

namespace rowlane::cpu {
namespace {

using ops::kHugePageBytes;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Null when there is no memory.
void* map_huge_pages(std::size_t bytes) {
  // The system aligns to small pages, so both ends are cut off.
  void* const mapping = mmap(nullptr, bytes + kHugePageBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    return nullptr;
  }
  const auto begin = std::bit_cast<std::uintptr_t>(mapping);
  const std::uintptr_t data = round_up(begin, kHugePageBytes);
  if (data > begin) {
    munmap(mapping, data - begin);
  }
  const std::size_t rest = begin + kHugePageBytes - data;
  if (rest > 0) {
    munmap(std::bit_cast<void*>(data + bytes), rest);
  }
  auto* const pages = std::bit_cast<void*>(data);
  ops::advise_huge_pages(pages, bytes);
  return pages;
}

std::size_t capacity_from_environment() {
  if (const char* const text = std::getenv("ROWLANE_CPU_CACHE")) {
    const std::string_view digits(text);
    std::size_t mebibytes = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), mebibytes);
    TORCH_CHECK_VALUE(error == std::errc() && end == digits.data() + digits.size(),
                      "ROWLANE_CPU_CACHE must be a number of MiB, got '", digits, "'");
    return mebibytes << 20;
  }
  const std::uint64_t machine_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                      static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(machine_bytes, control_group_memory_limit()) / 8;
}

}  // namespace

c10::DataPtr BlockCache::allocate(std::size_t bytes) {
  if (bytes < kMinBlockBytes || capacity_ == 0) {
    return c10::GetCPUAllocator()->allocate(bytes);
  }
  auto block = std::make_unique<Block>(take(round_up(bytes, kHugePageBytes)));
  void* const data = block->data;
  c10::profiledCPUMemoryReporter().New(data, bytes);
  return {data, block.release(), &BlockCache::free, c10::Device(c10::kCPU)};
}

void BlockCache::copy_data(void* to, const void* from, std::size_t bytes) const {
  std::memcpy(to, from, bytes);
}

std::size_t BlockCache::kept_bytes() {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

void BlockCache::free(void* context) {
  const std::unique_ptr<Block> block(static_cast<Block*>(context));
  c10::profiledCPUMemoryReporter().Delete(block->data);
  block->owner->keep(*block);
}

BlockCache::Block BlockCache::take(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const std::optional<Block> kept = find_kept(bytes);
    used_bytes_ += kept ? kept->bytes : bytes;
    most_used_bytes_ = std::max(most_used_bytes_, used_bytes_);
    if (kept) {
      return *kept;
    }
    shrink(capacity_);
  }
  void* data = map_huge_pages(bytes);
  if (data == nullptr) {
    const std::lock_guard lock(mutex_);
    shrink(0);
    data = map_huge_pages(bytes);
    if (data == nullptr) {
      used_bytes_ -= bytes;
      c10::profiledCPUMemoryReporter().OutOfMemory(bytes);
      TORCH_CHECK_WITH(OutOfMemoryError, false, "rowlane: there is no memory for ", bytes,
                       " bytes");
    }
  }
  return {this, data, bytes};
}

void BlockCache::keep(const Block& block) {
  const std::lock_guard lock(mutex_);
  used_bytes_ -= block.bytes;
  kept_.push_back(block);
  kept_bytes_ += block.bytes;
  shrink(capacity_);
}

// The smallest block that fits and is at most a quarter larger than it must be.
std::optional<BlockCache::Block> BlockCache::find_kept(std::size_t bytes) {
  auto best = kept_.end();
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (it->bytes >= bytes && it->bytes <= bytes + bytes / 4 &&
        (best == kept_.end() || it->bytes <= best->bytes)) {
      best = it;
    }
  }
  if (best == kept_.end()) {
    return std::nullopt;
  }
  const Block block = *best;
  kept_.erase(best);
  kept_bytes_ -= block.bytes;
  return block;
}

// Gives back what was freed first, until as little is kept and kMaxGrowth is kept to.
void BlockCache::shrink(std::size_t max_kept_bytes) {
  while (kept_bytes_ > max_kept_bytes ||
         used_bytes_ + kept_bytes_ > kMaxGrowth * most_used_bytes_) {
    const Block oldest = kept_.front();
    kept_.pop_front();
    kept_bytes_ -= oldest.bytes;
    munmap(oldest.data, oldest.bytes);
  }
}

BlockCache& block_cache() {
  // Never destroyed: tensors of static storage duration may die later.
  static auto* const cache = new BlockCache(capacity_from_environment());
  return *cache;
}

at::Tensor empty_output(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::detail::empty_generic(sizes, &block_cache(),
                                   c10::DispatchKeySet(c10::DispatchKey::CPU), dtype, std::nullopt);
}

}  // namespace rowlane::cpu
