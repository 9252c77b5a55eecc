#include "cuda/simt/emulated/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <stdexcept>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#endif

namespace rowlane::simt::emulated {
namespace {

constexpr std::size_t kMostReserved = std::size_t{1} << 40;  // address space, not memory
constexpr std::size_t kLeastReserved = std::size_t{1} << 32;
// Untouched addresses after each allocation: more than the largest row, so that a neighbouring row
// is caught.
constexpr std::int64_t kGuardBytes = 512 << 10;
constexpr std::size_t kQuarantine = 1024;
// Freed allocations up to this size keep their pages, larger ones give them back to the host.
constexpr std::int64_t kKeptBytes = 64 << 10;
constexpr std::uint64_t kCountingAlignment = 4096;
constexpr int kPoison = 0xff;

void* reserve(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

// Rounds up to one of eight sizes in each power of two: few classes, so that ranges find a second
// user.
std::int64_t range_class(std::int64_t bytes) {
  const auto value = static_cast<std::uint64_t>(bytes);
  const std::uint64_t step = std::max<std::uint64_t>(std::bit_floor(value) / 8, 4096);
  return static_cast<std::int64_t>((value + step - 1) / step * step);
}

}  // namespace

InitialisedBits::InitialisedBits(std::int64_t bytes)
    : words_(static_cast<std::size_t>((bytes + 63) / 64)) {}

void InitialisedBits::mark(std::int64_t offset, std::int64_t bytes) {
  while (bytes > 0) {
    const std::int64_t bit = offset % 64;
    const std::int64_t count = std::min<std::int64_t>(64 - bit, bytes);
    const std::uint64_t mask = (~std::uint64_t{0} >> (64 - count)) << bit;
    std::uint64_t& word = words_[static_cast<std::size_t>(offset / 64)];
    std::atomic_ref(word).fetch_or(mask, std::memory_order_relaxed);
    offset += count;
    bytes -= count;
  }
}

bool InitialisedBits::all_marked(std::int64_t offset, std::int64_t bytes) const {
  while (bytes > 0) {
    const std::int64_t bit = offset % 64;
    const std::int64_t count = std::min<std::int64_t>(64 - bit, bytes);
    const std::uint64_t mask = (~std::uint64_t{0} >> (64 - count)) << bit;
    auto& word = const_cast<std::uint64_t&>(words_[static_cast<std::size_t>(offset / 64)]);
    if ((std::atomic_ref(word).load(std::memory_order_relaxed) & mask) != mask) {
      return false;
    }
    offset += count;
    bytes -= count;
  }
  return true;
}

DeviceMemory& DeviceMemory::instance() {
  // Never destroyed: tensors with static storage may be freed after every static destructor has
  // run.
  static auto* memory = new DeviceMemory;
  return *memory;
}

DeviceMemory::DeviceMemory() {
  void* range = nullptr;
  std::size_t bytes = kMostReserved;
  while ((range = reserve(bytes)) == nullptr && bytes > kLeastReserved) {
    bytes /= 2;
  }
  void* pages = reserve(bytes / kPageBytes * sizeof(*pages_));
  if (range == nullptr || pages == nullptr) {
    throw std::bad_alloc();
  }
  base_ = reinterpret_cast<std::uintptr_t>(range);
  capacity_ = bytes;
  pages_ = static_cast<std::atomic<Allocation*>*>(pages);
}

Allocation* DeviceMemory::take_range(std::int64_t bytes) {
  const std::int64_t range_bytes = range_class(bytes);
  if (auto& candidates = reusable_[range_bytes]; !candidates.empty()) {
    Allocation* allocation = candidates.back();
    candidates.pop_back();
    return allocation;
  }
  if (used_ + static_cast<std::uintptr_t>(range_bytes) > capacity_) {
    throw std::bad_alloc();
  }
  Allocation* allocation = &allocations_.emplace_back();
  allocation->range_begin = base_ + used_;
  allocation->range_bytes = range_bytes;
  const std::uintptr_t first_page = used_ / kPageBytes;
  used_ += static_cast<std::uintptr_t>(range_bytes);
  for (std::uintptr_t page = first_page; page < used_ / kPageBytes; ++page) {
    pages_[page].store(allocation, std::memory_order_relaxed);
  }
  ASAN_POISON_MEMORY_REGION(reinterpret_cast<void*>(allocation->range_begin),
                            static_cast<std::size_t>(range_bytes));
  return allocation;
}

void* DeviceMemory::allocate(std::int64_t bytes, bool poison, bool track_initialised) {
  if (bytes <= 0) {
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  // An odd multiple of 256: CUDA promises 256-byte alignment and nothing more.
  const auto skew = static_cast<std::int64_t>(256 * (allocations_.size() % 8 * 2 + 1));
  Allocation* allocation = take_range(skew + bytes + kGuardBytes);
  allocation->begin = allocation->range_begin + static_cast<std::uintptr_t>(skew);
  allocation->bytes = bytes;
  allocation->live = true;
  allocation->counting_era = 0;
  if (track_initialised) {
    allocation->initialised = std::make_unique<InitialisedBits>(bytes);
  }
  void* p = reinterpret_cast<void*>(allocation->begin);
  ASAN_UNPOISON_MEMORY_REGION(p, static_cast<std::size_t>(bytes));
  if (poison) {
    std::memset(p, kPoison, static_cast<std::size_t>(bytes));
  }
  return p;
}

void DeviceMemory::free(void* p) {
  if (p == nullptr) {
    return;
  }
  const std::lock_guard lock(mutex_);
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  Allocation* allocation = find(address);
  if (allocation == nullptr || allocation->begin != address || !allocation->live) {
    throw std::invalid_argument("device_free: " + describe(address) + " is not an allocation");
  }
  allocation->live = false;
  allocation->initialised.reset();
  allocation->race_cells.reset();
  if (allocation->bytes > kKeptBytes) {
    const std::uintptr_t first_page = (address + kPageBytes - 1) / kPageBytes * kPageBytes;
    const std::uintptr_t end = address + static_cast<std::uintptr_t>(allocation->bytes);
    madvise(reinterpret_cast<void*>(first_page), end - first_page, MADV_DONTNEED);
  }
  ASAN_POISON_MEMORY_REGION(p, static_cast<std::size_t>(allocation->bytes));
  quarantine_.push_back(allocation);
  if (quarantine_.size() > kQuarantine) {
    reusable_[quarantine_.front()->range_bytes].push_back(quarantine_.front());
    quarantine_.pop_front();
  }
}

std::string DeviceMemory::describe(std::uintptr_t address) const {
  const Allocation* nearest = find(address);
  if (nearest == nullptr) {
    return "memory that the device does not own";
  }
  // The guard before an allocation belongs to the range of the one before it.
  const Allocation* next =
      find(nearest->range_begin + static_cast<std::uintptr_t>(nearest->range_bytes));
  const auto distance_past = static_cast<std::int64_t>(address - nearest->begin) - nearest->bytes;
  if (next != nullptr && next->live && distance_past >= 0 &&
      static_cast<std::int64_t>(next->begin - address) < distance_past) {
    nearest = next;
  }
  const auto offset = static_cast<std::int64_t>(address - nearest->begin);
  const std::string allocation = (nearest->live ? "an allocation of " : "a freed allocation of ") +
                                 std::to_string(nearest->bytes) + " bytes";
  if (offset < 0) {
    return std::to_string(-offset) + " bytes before " + allocation;
  }
  if (offset >= nearest->bytes) {
    return std::to_string(offset - nearest->bytes) + " bytes past the end of " + allocation;
  }
  return "byte " + std::to_string(offset) + " of " + allocation;
}

RaceCell* DeviceMemory::race_cells(Allocation& allocation) {
  if (allocation.race_cells == nullptr) {
    // calloc: the pages of large allocations stay untouched until a kernel comes there.
    void* cells = std::calloc(static_cast<std::size_t>(allocation.bytes), sizeof(RaceCell));
    if (cells == nullptr) {
      throw std::bad_alloc();
    }
    allocation.race_cells.reset(static_cast<RaceCell*>(cells));
  }
  return allocation.race_cells.get();
}

void DeviceMemory::clear_race_cells() {
  const std::lock_guard lock(mutex_);
  for (Allocation& allocation : allocations_) {
    allocation.race_cells.reset();
  }
}

std::uint64_t DeviceMemory::counting_address(std::uintptr_t address) {
  Allocation* allocation = find(address);
  if (allocation == nullptr) {
    return address;
  }
  if (allocation->counting_era != counting_era_) {
    allocation->counting_era = counting_era_;
    allocation->counting_begin = next_counting_address_;
    next_counting_address_ +=
        (static_cast<std::uint64_t>(allocation->bytes) + kCountingAlignment - 1) /
        kCountingAlignment * kCountingAlignment;
  }
  return allocation->counting_begin + (address - allocation->begin);
}

void DeviceMemory::restart_counting_addresses() {
  ++counting_era_;
  next_counting_address_ = 0;
}

}  // namespace rowlane::simt::emulated
