// What the race detector remembers about one byte of memory.
#pragma once

#include <cstdint>

namespace rowlane::simt::emulated {

// Accesses that one access is checked against. An epoch is the time between two barriers of one
// block; epochs are numbered over all blocks and launches of a processor, and 0 means never. A step
// counts the sync_warp calls of a warp within an epoch.
struct AccessSet {
  static constexpr std::uint8_t kSeveralWarps = 0xff;

  std::uint32_t epoch;        // of the latest accesses
  std::uint32_t first_epoch;  // of the oldest access in the same launch
  std::uint32_t lanes;        // that accessed in `epoch`, of `warp`
  std::uint16_t step;         // of the latest access
  std::uint8_t warp;
  bool atomic;
};

struct RaceCell {
  AccessSet writes;
  AccessSet reads;
  std::uint32_t read_only_epoch;  // of the latest load that promised that nothing is written
};

}  // namespace rowlane::simt::emulated
