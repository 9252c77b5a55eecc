// The emulated device's memory: one reserved address range, carved into guarded and poisoned
// allocations.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/simt/emulated/race_cell.h"

namespace rowlane::simt::emulated {

// One bit for each byte of an allocation: has anything been written there? Blocks on several host
// threads set bits of the same word.
class InitialisedBits {
 public:
  explicit InitialisedBits(std::int64_t bytes);

  void mark(std::int64_t offset, std::int64_t bytes);
  [[nodiscard]] bool all_marked(std::int64_t offset, std::int64_t bytes) const;

 private:
  std::vector<std::uint64_t> words_;
};

struct Allocation {
  std::uintptr_t begin = 0;
  std::int64_t bytes = 0;
  bool live = false;

  // Present when reads of uninitialised memory were being checked at the time of the allocation.
  std::unique_ptr<InitialisedBits> initialised;

  // Present once races between blocks have been checked; one cell for each byte.
  std::unique_ptr<RaceCell[], decltype(&std::free)> race_cells{nullptr, &std::free};

  // The address that the traffic counters use instead of the real one
  // (DeviceMemory::counting_address).
  std::uint64_t counting_begin = 0;
  std::uint64_t counting_era = 0;

  // The address range, which a later allocation of the same class takes over.
  std::uintptr_t range_begin = 0;
  std::int64_t range_bytes = 0;
};

class DeviceMemory {
 public:
  static DeviceMemory& instance();

  // Throws std::bad_alloc when the range is used up. `poison` fills the memory with 0xFF, a NaN in
  // every floating-point type and -1 in every integer type.
  void* allocate(std::int64_t bytes, bool poison, bool track_initialised);
  // Throws std::invalid_argument unless `p` is what allocate() returned and is still allocated.
  void free(void* p);

  // The allocation whose address range, guard included, `address` lies in; or nullptr.
  [[nodiscard]] Allocation* find(std::uintptr_t address) const {
    const std::uintptr_t offset = address - base_;
    return offset < capacity_ ? pages_[offset / kPageBytes].load(std::memory_order_relaxed)
                              : nullptr;
  }

  // Where `address` is, in words, for an error message.
  [[nodiscard]] std::string describe(std::uintptr_t address) const;

  // The cells of `allocation`, made on first use.
  RaceCell* race_cells(Allocation& allocation);
  void clear_race_cells();

  // An address that depends only on the order in which a measurement first touches its allocations,
  // so that the same work counts the same wherever the allocations happen to lie.
  std::uint64_t counting_address(std::uintptr_t address);
  // Begins a new numbering.
  void restart_counting_addresses();

 private:
  static constexpr std::uintptr_t kPageBytes = 4096;
  DeviceMemory();

  Allocation* take_range(std::int64_t bytes);

  mutable std::mutex mutex_;
  std::uintptr_t base_ = 0;
  std::uintptr_t capacity_ = 0;
  std::uintptr_t used_ = kPageBytes;
  std::atomic<Allocation*>* pages_ = nullptr;  // one for each page of the range
  std::deque<Allocation> allocations_;

  // Freed ranges by size, reused only after kQuarantine others were freed, so that a use after free
  // is seen.
  std::map<std::int64_t, std::vector<Allocation*>> reusable_;
  std::deque<Allocation*> quarantine_;

  std::uint64_t counting_era_ = 1;
  std::uint64_t next_counting_address_ = 0;
};

}  // namespace rowlane::simt::emulated
