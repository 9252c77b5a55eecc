// Device bodies of the radix sort of (row, position) pairs of 32 bits each.
//
// Least significant digit first, and stable, so a pass orders by one digit what the passes before
// have ordered by the digits below. The first pass reads the indices themselves: a position is not
// stored before there is an order to store it in.
#pragma once

#include "cuda/index_report_kernel.cuh"
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

inline constexpr int kSortWarps = kBlockThreads / simt::kWarpSize;
// Counts that a thread reads with one access of 16 bytes: a digit has at least two bits.
inline constexpr int kBinsPerLoad = 1 << kMinDigitBits;

// The pairs of an index list: key num_rows for padding and for an index out of range.
template <typename IndexT>
struct IndexPairs {
  const IndexT* __restrict__ indices;  // [num_indices]
  std::int64_t num_rows;
  std::int64_t padding_row;
  IndexReport* report;  // null where the list is read a second time

  [[nodiscard]] ROWLANE_DEVICE std::uint32_t key(std::int64_t i) const {
    const std::int64_t row = simt::load_nc(indices + i);
    const bool is_bad = !is_row(row, num_rows);
    if (is_bad) {
      report_index(report, i, row, num_rows);
    }
    return static_cast<std::uint32_t>(is_bad || row == padding_row ? num_rows : row);
  }
  [[nodiscard]] ROWLANE_DEVICE std::uint32_t position(std::int64_t i) const {
    return static_cast<std::uint32_t>(i);
  }
};

// The pairs that another pass has stored.
struct StoredPairs {
  const std::uint32_t* __restrict__ keys;
  const std::uint32_t* __restrict__ positions;

  [[nodiscard]] ROWLANE_DEVICE std::uint32_t key(std::int64_t i) const {
    return simt::load_nc(keys + i);
  }
  [[nodiscard]] ROWLANE_DEVICE std::uint32_t position(std::int64_t i) const {
    return simt::load_nc(positions + i);
  }
};

struct Digit {
  int shift;
  int bits;

  [[nodiscard]] ROWLANE_DEVICE int bins() const { return 1 << bits; }
  [[nodiscard]] ROWLANE_DEVICE int of(std::uint32_t key) const {
    return static_cast<int>(key >> shift & ((1U << bits) - 1U));
  }
};

// Sum of the values of the lanes below this one.
ROWLANE_DEVICE int warp_prefix_sum(int value) {
  int sum = value;
  ROWLANE_UNROLL
  for (int step = 1; step < simt::kWarpSize; step *= 2) {
    const int below = simt::shfl_up(simt::kFullMask, sum, step);
    sum += simt::lane_id() >= step ? below : 0;
  }
  return sum - value;
}

// Sum of the values of the threads before this one. All threads of the block call it.
ROWLANE_DEVICE int block_prefix_sum(int value) {
  const auto warp_sums = simt::shared<struct WarpSums, int, kSortWarps>();
  const int before = warp_prefix_sum(value);
  if (simt::lane_id() == simt::kWarpSize - 1) {
    warp_sums.store(simt::warp_id(), before + value);
  }
  simt::sync_block();
  int sum = before;
  ROWLANE_UNROLL
  for (int w = 0; w < kSortWarps; ++w) {
    sum += w < simt::warp_id() ? warp_sums.load(w) : 0;
  }
  simt::sync_block();
  return sum;
}

// A tile of kItems * kBlockThreads pairs in registers. Warp w holds the w-th part of the tile; item
// k of its lanes are neighbours.
template <int kItems>
struct SortTile {
  std::uint32_t key[kItems];
  std::uint32_t position[kItems];
  int rank[kItems];  // among the warp's items of the same digit
  int num_items;     // of the tile

  static ROWLANE_DEVICE int slot(int k) {
    return (simt::warp_id() * kItems + k) * simt::kWarpSize + simt::lane_id();
  }
  [[nodiscard]] ROWLANE_DEVICE bool has(int k) const { return slot(k) < num_items; }

  // Loads the pairs from `begin` on, of which there are `count`.
  template <typename Pairs>
  ROWLANE_DEVICE void load(const Pairs& pairs, std::int64_t begin, std::int64_t count) {
    constexpr std::int64_t kSlots = std::int64_t{kItems} * kBlockThreads;
    num_items = static_cast<int>(count - begin < kSlots ? count - begin : kSlots);
    ROWLANE_UNROLL
    for (int k = 0; k < kItems; ++k) {
      key[k] = has(k) ? pairs.key(begin + slot(k)) : 0;
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kItems; ++k) {
      position[k] = has(k) ? pairs.position(begin + slot(k)) : 0;
    }
  }

  // Counts the digits per warp into counters [kSortWarps, bins], and ranks each item among its
  // warp's, in order.
  ROWLANE_DEVICE void rank_items(simt::Shared<int> counters, const Digit& digit) {
    for (int i = simt::thread_id(); i < kSortWarps * digit.bins(); i += kBlockThreads) {
      counters.store(i, 0);
    }
    simt::sync_block();
    const int first = simt::warp_id() * digit.bins();
    ROWLANE_UNROLL
    for (int k = 0; k < kItems; ++k) {
      const int bin = has(k) ? digit.of(key[k]) : -1;
      const std::uint32_t peers = simt::match_any(simt::kFullMask, bin);
      const int below = simt::popc(peers & ((1U << simt::lane_id()) - 1U));
      const int seen = bin < 0 ? 0 : counters.load(first + bin);
      simt::sync_warp();
      if (bin >= 0 && below == 0) {
        counters.store(first + bin, seen + simt::popc(peers));
      }
      simt::sync_warp();
      rank[k] = seen + below;
    }
    simt::sync_block();
  }

  // Where item k goes, once counters hold where each warp's items of a digit begin.
  [[nodiscard]] ROWLANE_DEVICE int target(simt::Shared<int> counters, const Digit& digit,
                                          int k) const {
    return counters.load(simt::warp_id() * digit.bins() + digit.of(key[k])) + rank[k];
  }
};

// Turns the counts of a digit per warp into where each warp's items begin; returns their sum.
ROWLANE_DEVICE int spread_counts(simt::Shared<int> counters, int bins, int bin, int begin) {
  int sum = 0;
  ROWLANE_UNROLL
  for (int w = 0; w < kSortWarps; ++w) {
    const int count = counters.load(w * bins + bin);
    counters.store(w * bins + bin, begin + sum);
    sum += count;
  }
  return sum;
}

template <typename Pairs>
struct CountDigitsKernelArgs {
  Pairs pairs;
  std::int32_t* __restrict__ counts;  // [num_tiles, bins]
  std::int64_t num_items;
  int tile_items;
  Digit digit;
};

// Counts the digits of a tile per block. Shared memory: a counter per digit. A block writes the
// counts of its tile.
template <typename Pairs>
__global__ void __launch_bounds__(kBlockThreads)
    count_digits_kernel(CountDigitsKernelArgs<Pairs> args) {
  const auto counters = simt::shared<struct DigitCounts, int, 1 << kMaxDigitBits>();
  const int bins = args.digit.bins();
  const std::int64_t begin = simt::block_id() * args.tile_items;
  const std::int64_t end =
      begin + args.tile_items < args.num_items ? begin + args.tile_items : args.num_items;
  for (int bin = simt::thread_id(); bin < bins; bin += kBlockThreads) {
    counters.store(bin, 0);
  }
  simt::sync_block();
  for (std::int64_t first = begin + simt::thread_id(); first < end;
       first += std::int64_t{kSortLoadsInFlight} * kBlockThreads) {
    std::uint32_t key[kSortLoadsInFlight];
    ROWLANE_UNROLL
    for (int k = 0; k < kSortLoadsInFlight; ++k) {
      const std::int64_t i = first + static_cast<std::int64_t>(k) * kBlockThreads;
      key[k] = i < end ? args.pairs.key(i) : 0;
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kSortLoadsInFlight; ++k) {
      if (first + static_cast<std::int64_t>(k) * kBlockThreads < end) {
        counters.add(args.digit.of(key[k]), 1);
      }
    }
  }
  simt::sync_block();
  for (int bin = simt::thread_id(); bin < bins; bin += kBlockThreads) {
    simt::store(args.counts + simt::block_id() * bins + bin, counters.load(bin));
  }
}

// Adds the counts of all tiles, [num_tiles, bins], into all [bins], and those of the tiles before
// the block's own into before [bins], which are both zero. Neighbouring threads read neighbouring
// counts; where a tile has fewer than the block can read at once, groups of threads share the
// tiles. Sums of integers are the same in any order.
ROWLANE_DEVICE void add_tile_counts(const std::int32_t* counts, std::int64_t num_tiles,
                                    const Digit& digit, simt::Shared<int> all,
                                    simt::Shared<int> before) {
  using Counts = simt::Vec<std::int32_t, kBinsPerLoad>;
  const int loads_per_tile = digit.bins() / kBinsPerLoad;
  const int groups = kBlockThreads / loads_per_tile;
  const int group = simt::thread_id() / loads_per_tile;
  const int first_bin = (simt::thread_id() - group * loads_per_tile) * kBinsPerLoad;
  int all_sum[kBinsPerLoad] = {};
  int before_sum[kBinsPerLoad] = {};
  for (std::int64_t first = group; first < num_tiles;
       first += std::int64_t{kSortLoadsInFlight} * groups) {
    Counts count[kSortLoadsInFlight];
    ROWLANE_UNROLL
    for (int k = 0; k < kSortLoadsInFlight; ++k) {
      const std::int64_t tile = first + static_cast<std::int64_t>(k) * groups;
      count[k] = tile < num_tiles ? simt::load_nc(reinterpret_cast<const Counts*>(
                                        counts + tile * digit.bins() + first_bin))
                                  : Counts{};
    }
    ROWLANE_UNROLL
    for (int k = 0; k < kSortLoadsInFlight; ++k) {
      const bool is_before = first + static_cast<std::int64_t>(k) * groups < simt::block_id();
      ROWLANE_UNROLL
      for (int b = 0; b < kBinsPerLoad; ++b) {
        all_sum[b] += count[k].v[b];
        before_sum[b] += is_before ? count[k].v[b] : 0;
      }
    }
  }
  ROWLANE_UNROLL
  for (int b = 0; b < kBinsPerLoad; ++b) {
    all.add(first_bin + b, all_sum[b]);
    before.add(first_bin + b, before_sum[b]);
  }
}

template <typename Pairs>
struct ScatterPairsKernelArgs {
  Pairs pairs;
  const std::int32_t* __restrict__ counts;  // [num_tiles, bins]
  std::uint32_t* __restrict__ keys;         // [num_items]
  std::uint32_t* __restrict__ positions;    // [num_items]
  std::int64_t num_items;
  std::int64_t num_tiles;
  Digit digit;
};

// Moves the pairs of a tile per block to where their digit's items go: after the items of smaller
// digits, and of the same digit in the tiles before. Each block adds up what it needs of all
// tiles' counts. Shared memory: per digit a counter for each warp, and two sums of counts. A pair
// is written by one thread.
template <typename Pairs, int kItems>
__global__ void __launch_bounds__(kBlockThreads, kItems > 4 ? 3 : 4)
    scatter_pairs_kernel(ScatterPairsKernelArgs<Pairs> args) {
  const int bins = args.digit.bins();
  const auto all = simt::shared_dynamic<int>();
  const auto before = simt::shared_dynamic<int>(bins * 4);
  const auto counters = simt::shared_dynamic<int>(bins * 8);
  for (int bin = simt::thread_id(); bin < bins; bin += kBlockThreads) {
    all.store(bin, 0);
    before.store(bin, 0);
  }
  simt::sync_block();
  add_tile_counts(args.counts, args.num_tiles, args.digit, all, before);
  SortTile<kItems> tile;
  tile.load(args.pairs, simt::block_id() * kItems * kBlockThreads, args.num_items);
  tile.rank_items(counters, args.digit);  // ends in a barrier, after which the sums are whole

  const int bins_per_thread = (bins + kBlockThreads - 1) / kBlockThreads;
  const int first_bin = simt::thread_id() * bins_per_thread;
  const int end_bin = first_bin < bins ? first_bin + bins_per_thread : first_bin;
  int sum = 0;
  for (int bin = first_bin; bin < end_bin; ++bin) {
    sum += all.load(bin);
  }
  int smaller = block_prefix_sum(sum);
  for (int bin = first_bin; bin < end_bin; ++bin) {
    spread_counts(counters, bins, bin, smaller + before.load(bin));
    smaller += all.load(bin);
  }
  simt::sync_block();
  ROWLANE_UNROLL
  for (int k = 0; k < kItems; ++k) {
    if (tile.has(k)) {
      const int target = tile.target(counters, args.digit, k);
      simt::store(args.keys + target, tile.key[k]);
      simt::store(args.positions + target, tile.position[k]);
    }
  }
}

template <typename IndexT>
struct SortBlockKernelArgs {
  IndexPairs<IndexT> pairs;
  std::uint32_t* __restrict__ keys;       // [num_items]
  std::uint32_t* __restrict__ positions;  // [num_items]
  int num_items;                          // at most kItems * kBlockThreads
  int key_bits;
};

// Sorts a list that a single block holds, in one launch. Shared memory: the pairs, a counter per
// warp and digit.
template <typename IndexT, int kItems>
__global__ void __launch_bounds__(kBlockThreads, 1)
    sort_block_kernel(SortBlockKernelArgs<IndexT> args) {
  constexpr int kDigitBits = 8;  // a bin per thread
  constexpr int kSlots = kItems * kBlockThreads;
  const auto keys = simt::shared<struct BlockKeys, std::uint32_t, kSlots>();
  const auto positions = simt::shared<struct BlockPositions, std::uint32_t, kSlots>();
  const auto counters = simt::shared<struct BlockCounters, int, kSortWarps << kDigitBits>();
  SortTile<kItems> tile;
  tile.load(args.pairs, 0, args.num_items);
  const int passes = (args.key_bits + kDigitBits - 1) / kDigitBits;
  for (int pass = 0; pass < passes; ++pass) {
    const int low = args.key_bits * pass / passes;
    const Digit digit{.shift = low, .bits = args.key_bits * (pass + 1) / passes - low};
    ROWLANE_UNROLL
    for (int k = 0; k < kItems; ++k) {
      if (pass > 0 && tile.has(k)) {
        tile.key[k] = keys.load(tile.slot(k));
        tile.position[k] = positions.load(tile.slot(k));
      }
    }
    tile.rank_items(counters, digit);
    const int bin = simt::thread_id();
    int count = 0;
    if (bin < digit.bins()) {
      count = spread_counts(counters, digit.bins(), bin, 0);
    }
    const int smaller = block_prefix_sum(count);
    if (bin < digit.bins()) {
      ROWLANE_UNROLL
      for (int w = 0; w < kSortWarps; ++w) {
        const int at = w * digit.bins() + bin;
        counters.store(at, counters.load(at) + smaller);
      }
    }
    simt::sync_block();
    ROWLANE_UNROLL
    for (int k = 0; k < kItems; ++k) {
      if (tile.has(k)) {
        const int target = tile.target(counters, digit, k);
        keys.store(target, tile.key[k]);
        positions.store(target, tile.position[k]);
      }
    }
    simt::sync_block();
  }
  for (int i = simt::thread_id(); i < args.num_items; i += kBlockThreads) {
    simt::store(args.keys + i, keys.load(i));
    simt::store(args.positions + i, positions.load(i));
  }
}

}  // namespace rowlane::kernels
