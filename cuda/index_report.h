// What device code tells the host of indices that are out of range.
#pragma once

#include <atomic>
#include <cstdint>

namespace rowlane::kernels {

// Lives in memory that the device can write and the host can read while the device works: pinned
// host memory. All zero at first. Kernels count every index that is out of range, and describe the
// first one that any thread noticed: which of several that is depends on scheduling. It costs
// nothing where all indices are right.
struct IndexReport {
  std::int64_t num_bad = 0;
  std::int64_t position = 0;     // in the index list
  std::int64_t index = 0;        // its value
  std::int64_t num_rows = 0;     // of the table, or of the part of it that the kernel has
  std::int64_t first_row = 0;    // of that part
  std::int64_t table = 0;        // among several, counted from 1; 0 where there is one
  std::int64_t is_complete = 0;  // set after those from `position` on
};

// The report as it is now, without waiting for the device; all zero while it is not complete.
inline IndexReport read_index_report(const IndexReport* report) {
  const volatile IndexReport& live = *report;  // the device may write it at any time
  if (live.is_complete == 0) {
    return {};
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  return {.num_bad = live.num_bad,
          .position = live.position,
          .index = live.index,
          .num_rows = live.num_rows,
          .first_row = live.first_row,
          .table = live.table,
          .is_complete = 1};
}

}  // namespace rowlane::kernels
