// Finds two accesses to one byte that nothing orders, at least one of them a plain write; and
// writes to what the same launch loads as read-only, ordered or not.
//
// What orders accesses: a launch boundary; within a block the program order of a thread and
// sync_block(); within a warp sync_warp() of a mask that names both. Shuffles and votes order
// nothing, and neither do fences: a kernel that hands data from block to block by fence and atomic
// looks like a race here.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/emulated/memory_op.h"
#include "cuda/simt/emulated/race_cell.h"

namespace rowlane::simt::emulated {

enum class Space : std::uint8_t { kGlobal, kShared };

class RaceDetector {
 public:
  // Returns true when the numbering started again and every cell must be cleared.
  bool begin_launch();
  void begin_block();
  void barrier();
  void sync_warp(int warp, std::uint32_t mask);

  // Checks an access to `count` bytes against their cells and adds it to them. Returns a
  // description of the earlier access that it races with, or an empty string.
  std::string check(RaceCell* cells, int count, Space space, AccessType type, int thread);

 private:
  // Accesses before this epoch are ordered before every access that follows.
  [[nodiscard]] std::uint32_t first_epoch(Space space) const {
    return space == Space::kShared ? block_begin_ : launch_begin_;
  }
  [[nodiscard]] bool conflicts(const AccessSet& earlier, Space space, int thread) const;
  [[nodiscard]] bool ordered_in_warp(const AccessSet& earlier, int thread) const;
  void add(AccessSet& set, Space space, int thread, bool atomic) const;
  [[nodiscard]] std::string describe(const AccessSet& earlier, const char* what) const;

  std::uint32_t epoch_ = 0;
  std::uint32_t launch_begin_ = 0;
  std::uint32_t block_begin_ = 0;
  // The masks of the sync_warp calls of the running epoch.
  std::array<std::vector<std::uint32_t>, 32> warp_syncs_;
};

}  // namespace rowlane::simt::emulated
