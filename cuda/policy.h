// Tuning numbers, each with its reason, and the pure functions that choose between them.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "simt/device_info.h"
#include "types.h"

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
// Half of an SM's threads; without this leave ptxas spills to keep to 32 registers.
inline constexpr int kGatherBlocksPerSm = 4;
// Rows that a block of the gather stages: 32 KiB leave room for half of an SM's threads, on devices
// from a T4 to an H100.
inline constexpr std::int64_t kMaxGatherTileBytes = std::int64_t{32} << 10;

// The sort of the index list. A block sorts up to 16 pairs per thread in shared memory. Above that
// and up to kMaxTileSort, each block of a pass reads all tiles' counts, 4 bytes * tiles^2 << digit
// bits in all, which by the model of an H100 costs less than the launches of CUB's sort up to 2^18
// pairs, and more from 2^19.
inline constexpr std::int64_t kMaxBlockSort = std::int64_t{16} * kBlockThreads;
inline constexpr std::int64_t kMaxTileSort = std::int64_t{1} << 18;
// Tiles are the shortest of 2, 4 and 8 pairs per thread whose number is at most this: more blocks
// for short lists, fewer counts for long ones.
inline constexpr std::int64_t kManySortTiles = 32;
// The two launches of a pass take as long as reading this many bytes of counts from L2: 2 * 2.5 us
// at 5.5 TB/s.
inline constexpr std::int64_t kSortPassBytes = 27'500'000;
// What a pass takes of L2 per pair: its key read twice, its position once, and each of them written
// to a sector of its own.
inline constexpr std::int64_t kSortPairBytes = 3 * 4 + 2 * 32;
// The counters of ten bits take 40 KiB of shared memory; a thread reads the counts of two bits at
// once.
inline constexpr int kMaxDigitBits = 10;
inline constexpr int kMinDigitBits = 2;
// Loads that a thread of the sort has under way.
inline constexpr int kSortLoadsInFlight = 8;

// Gradient rows that a worker of the segment reduce has under way.
inline constexpr int kSegmentRowsInFlight = 4;

// Blocks of the segment reduce that registers leave room for on an SM: half of its threads. Where
// eight sums, sums of doubles or 64-bit keys would spill there, 768 threads do: with four 16-byte
// loads each they have 48 KiB under way, and an H100 needs 7 KiB per SM to hide 273 ns.
inline constexpr int kSegmentBlocksPerSm = 4;
// A step has weights and states in registers, too.
constexpr int segment_blocks_per_sm(int elems, int accum_bytes, int key_bytes, bool is_step) {
  if (is_step) {
    return accum_bytes == 8 ? kSegmentBlocksPerSm - 2 : kSegmentBlocksPerSm - 1;
  }
  return elems >= 8 || accum_bytes == 8 || key_bytes == 8 ? kSegmentBlocksPerSm - 1
                                                          : kSegmentBlocksPerSm;
}

// The most elements of a row that a thread of the segment reduce steps, and gradient rows that a
// worker then has under way: weights, states, sums and the sums that wait for their step are in
// registers together. 768 threads with two 16-byte loads each have 24 KiB per SM under way.
inline constexpr int kStepElems = 4;
inline constexpr int kStepRowsInFlight = 2;

// Blocks of the step of rows on an SM: as of the segment reduce.
constexpr int row_step_blocks_per_sm(int elems, int elem_bytes) {
  return elems >= 8 || elem_bytes == 8 ? kSegmentBlocksPerSm - 1 : kSegmentBlocksPerSm;
}

// Blocks of the catch-up on an SM: what is replayed, and its scalars in double, are in registers.
inline constexpr int kCatchUpBlocksPerSm = 2;

// Blocks that a segment reduce is split into: two full waves of an H100. The number is the same for
// every device, so that a sum has the same bits on all of them.
inline constexpr std::int64_t kSegmentBlocks = 2 * kSegmentBlocksPerSm * 132;
// Where shares would become shorter than this, rows are split into slices of fewer threads, down to
// eight, whose 16-byte accesses fill a line: short shares leave many partial sums.
inline constexpr int kGoodShare = 128;
inline constexpr int kMinSegmentLanesLog2 = 3;

// Longest share of a block, which bounds its shared memory. Beyond a thousand blocks of this length
// the number of blocks grows.
inline constexpr int kMaxShare = 2048;
// Items of a share: a cut may move by a run of up to a warp's width, at both ends.
inline constexpr int kMaxShareItems = kMaxShare + 64;
// Bytes of finished rows that a share gathers before it stores them.
inline constexpr std::int64_t kMaxTileBytes = 8192;
// Rows shorter than a sector are gathered.
inline constexpr std::int64_t kMinDirectRowBytes = 32;

// The combine: threads per block, shares whose ends a block looks at, partials that a thread has
// under way, and the longest chain of partials that a single warp adds up.
inline constexpr int kCombineThreads = 1024;
inline constexpr int kCombineShares = 32;
inline constexpr int kCombineInFlight = 8;
inline constexpr int kCombineShort = 16;

// The most indices that the backward in one launch takes: its blocks keep two lists of them in
// shared memory. And the most rows that a block may own.
inline constexpr int kSmallMaxIndices = 2048;
inline constexpr int kSmallMaxRows = 1 << 20;
// With fewer blocks than this, two on each SM of an H100, rows are split into more slices.
inline constexpr std::int64_t kMinSmallBlocks = 264;

struct GatherProblem {
  std::int64_t num_rows = 0;
  std::int64_t num_indices = 0;
  std::int64_t row_bytes = 0;
  // As in access_bytes: of the table and the distance of its rows, and of the output.
  std::uint64_t table_bits = 0;
  std::uint64_t out_bits = 0;
};

struct GatherPolicy {
  int vec_bytes = 1;         // bytes per load of the table
  int lanes_log2 = 0;        // threads per row
  std::int64_t blocks = 0;   // each gathers kBlockThreads / lanes * kGatherRowsInFlight rows
  std::int64_t slices = 1;   // pieces that a row's accesses are split into, over grid y
  bool is_staged = false;    // a block's rows meet in shared memory and are stored as one piece
  bool streams_out = false;  // the output is the first to leave the L2,
  bool keeps_table = false;  // and the table the last

  friend bool operator==(const GatherPolicy&, const GatherPolicy&) = default;
};

// Rows that are no whole sectors are staged. Few wide rows are split into slices, or get more
// threads where they are staged, until the device has two blocks per SM. Hints are given where the
// output outgrows the L2.
GatherPolicy select_gather_policy(const GatherProblem& problem, const DeviceInfo& device);

struct SegmentPolicy {
  int vec_bytes = 4;        // bytes per access
  int lanes_log2 = 0;       // threads that sum a row together
  std::int64_t slices = 1;  // pieces of a row's columns
  int item_weight = 1;      // of an item and a row's end on the merge path
  int row_weight = 1;
  std::int64_t shares = 0;  // pieces of the path; a block sums a slice of a share
  int share = 1;            // length of a share
  int capacity = 1;         // items that a share may have
  bool is_staged = false;   // rows are gathered in shared memory

  friend bool operator==(const SegmentPolicy&, const SegmentPolicy&) = default;
};

// For num_indices gradient rows of dim elements, summed to num_rows rows; address_bits as in
// access_bytes. A pure function of these, without a device, so that sums have the same bits on all
// devices.
SegmentPolicy select_segment_policy(std::int64_t num_rows, std::int64_t dim,
                                    std::int64_t num_indices, std::int64_t elem_bytes,
                                    RowTarget target, std::uint64_t address_bits, bool wide_pairs);

struct SmallPolicy {
  int vec_bytes = 4;        // bytes per access
  int lanes_log2 = 0;       // threads that sum a row together
  std::int64_t slices = 1;  // pieces of a row's columns
  std::int64_t ranges = 0;  // pieces of the table; a block sums a slice of a range of rows
  int rows_per_range = 1;
  bool is_staged = false;  // rows are gathered in shared memory

  friend bool operator==(const SmallPolicy&, const SmallPolicy&) = default;
};

// As select_segment_policy(), for at most kSmallMaxIndices indices.
SmallPolicy select_small_policy(std::int64_t num_rows, std::int64_t dim, std::int64_t num_indices,
                                std::int64_t elem_bytes, std::uint64_t address_bits);

}  // namespace rowlane::kernels
