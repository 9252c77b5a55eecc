// Tuning numbers, each with its reason, and the pure functions that choose between them.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "device_info.h"

namespace rowlane::kernels {

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// The widest access, in bytes, that everything in `address_bits` (addresses, strides and sizes,
// or-ed together) is a multiple of. A thread moves at most 16 bytes at once.
constexpr int access_bytes(std::uint64_t address_bits) {
  for (const int bytes : {16, 8, 4, 2}) {
    if (address_bits % static_cast<std::uint64_t>(bytes) == 0) {
      return bytes;
    }
  }
  return 1;
}

// Threads that share a row: the fewest, as a power of two up to a warp, that cover its accesses in
// one step.
constexpr int lanes_log2(std::int64_t accesses_per_row) {
  int log2 = 0;
  while (log2 < 5 && (std::int64_t{1} << log2) < accesses_per_row) {
    ++log2;
  }
  return log2;
}

// 256 threads: 8 resident blocks fill an SM of 2048 threads, and a block's tail is short.
inline constexpr int kBlockThreads = 256;

// Independent rows that each thread of the gather has in flight. Latency is hidden by bytes in
// flight, and 4 x 16 bytes x 2048 threads = 128 KiB per SM is several times what an H100 needs.
inline constexpr int kGatherRowsInFlight = 4;

// Sorted positions per block of the segment reduce: one per thread, so a block finds its runs with
// one ballot per warp.
inline constexpr int kSegmentTile = kBlockThreads;

// Gradient rows that a warp of the segment reduce has in flight; more spill at 80 registers for
// 16-bit types.
inline constexpr int kSegmentRowsInFlight = 4;

struct GatherPolicy {
  int vec_bytes = 1;        // bytes per access
  int lanes_log2 = 0;       // threads per row
  std::int64_t blocks = 0;  // each gathers kBlockThreads / lanes * kGatherRowsInFlight rows
  std::int64_t slices = 1;  // pieces that a row's accesses are split into, over grid y

  friend bool operator==(const GatherPolicy&, const GatherPolicy&) = default;
};

// For num_indices rows of row_bytes each; address_bits as in access_bytes. A few wide rows are
// split into slices until the device has two blocks per SM.
GatherPolicy select_gather_policy(std::int64_t num_indices, std::int64_t row_bytes,
                                  std::uint64_t address_bits, const DeviceInfo& device);

}  // namespace rowlane::kernels
