// What a block knows of its share of the sorted items, and how it finds its way in it.
#pragma once

#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// What is the same for all blocks.
template <typename Source, typename Sink>
struct ReduceArgs {
  Source source;
  Sink sink;
  std::int64_t num_rows;  // runs of this row and beyond are skipped
  std::int64_t dim;
  int item_weight;  // as in MergePath
  int row_weight;
  int lanes_log2;       // threads that sum a slice of a row together, the workers' size
  int slice_accesses;   // accesses, one per thread, that a slice consists of
  bool scale_by_count;  // divides a row's sum by the number of its items
  bool is_staged;       // finished rows are gathered in shared memory
};

// A block's piece of the merge path. For sinks that are not given empty rows, first_row and end_row
// are those of the first item, and of the last item or one more.
template <typename KeyT>
struct BlockShare {
  int items = 0;
  KeyT first_row = 0;      // rows before it are finished before the share
  KeyT end_row = 0;        // rows before it are finished in the share or before
  bool continues = false;  // first_row has items before the share
  bool continued = false;  // end_row has items on both sides of the share's end
  int path_begin = 0;      // of the first item, from where the block's path begins
  int path_length = 0;     // of the block's path
  // For ranked sinks: where first_row goes, and what comes after the last finished row.
  std::int64_t first_rank = 0;
  std::int64_t end_rank = 0;

  // A share within a single run finishes nothing.
  [[nodiscard]] ROWLANE_DEVICE bool is_inside_run() const {
    return continues && continued && first_row == end_row;
  }
};

// A share with its keys in shared memory. Workers, groups of 2^lanes_log2 threads, have a piece of
// it each.
template <typename Source, typename Sink, typename KeyT>
struct BlockItems {
  const ReduceArgs<Source, Sink>& args;
  const BlockShare<KeyT>& share;
  simt::Shared<KeyT> keys;  // [share.items], ascending

  struct Cut {
    int item;
    std::int64_t row;
    bool inside_run;
  };

  ROWLANE_DEVICE int lanes() const { return 1 << args.lanes_log2; }
  ROWLANE_DEVICE int worker() const { return simt::thread_id() >> args.lanes_log2; }
  ROWLANE_DEVICE int num_workers() const { return kBlockThreads >> args.lanes_log2; }
  ROWLANE_DEVICE std::int64_t first_slot() const {
    return Sink::kRanked ? share.first_rank : static_cast<std::int64_t>(share.first_row);
  }
  ROWLANE_DEVICE std::int64_t end_slot() const {
    return Sink::kRanked           ? share.end_rank
           : is_row(share.end_row) ? static_cast<std::int64_t>(share.end_row)
                                   : args.num_rows;
  }
  // Row numbers, and the number of rows plus one, fit into a key.
  ROWLANE_DEVICE bool is_row(KeyT key) const { return key < static_cast<KeyT>(args.num_rows); }

  // Per worker where its piece begins, and after the last where it ends.
  static ROWLANE_DEVICE simt::Shared<int> cut_items() {
    return simt::shared<struct CutItems, int, kBlockThreads + 1>();
  }
  // Twice the row, plus one if the cut is inside of its run.
  static ROWLANE_DEVICE simt::Shared<std::int64_t> cut_rows() {
    return simt::shared<struct CutRows, std::int64_t, kBlockThreads + 1>();
  }

  // The first item of `row` or a later one.
  ROWLANE_DEVICE int lower_bound(KeyT row) const {
    int low = 0;
    int high = share.items;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (keys.load(middle) < row) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // As MergePath::cut, within the share.
  ROWLANE_DEVICE Cut cut(int distance) const {
    int low = 0;
    int high = share.items;
    while (low < high) {
      const int middle = (low + high) / 2;
      const int rows = static_cast<int>(keys.load(middle) - share.first_row);
      if (share.path_begin + args.item_weight * middle + args.row_weight * rows >= distance) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const auto first_row = static_cast<std::int64_t>(share.first_row);
    const std::int64_t before = low > 0           ? static_cast<std::int64_t>(keys.load(low - 1))
                                : share.continues ? first_row
                                                  : first_row - 1;
    const auto after =
        static_cast<std::int64_t>(low < share.items ? keys.load(low) : share.end_row);
    const bool inside_run = low == 0             ? share.continues
                            : low == share.items ? share.continued
                                                 : before == after;
    if (inside_run) {
      return {low, before, true};
    }
    if constexpr (Sink::kFillsEmptyRows) {
      const int length = distance - share.path_begin - args.item_weight * low;
      const std::int64_t row = first_row + (length + args.row_weight - 1) / args.row_weight;
      return {low, row <= before ? before + 1 : row > after ? after : row, false};
    } else {
      return {low, after, false};
    }
  }

  ROWLANE_DEVICE void store_cut(int at, const Cut& cut) const {
    cut_items().store(at, cut.item);
    cut_rows().store(at, 2 * cut.row + static_cast<int>(cut.inside_run));
  }
  static ROWLANE_DEVICE Cut load_cut(int at) {
    const std::int64_t row = cut_rows().load(at);
    return {cut_items().load(at), row >> 1, (row & 1) != 0};
  }

  // For ranked sinks, 32 items per word: whether an item's row isn't that of the item before; the
  // first item counts as the same.
  static ROWLANE_DEVICE simt::Shared<std::uint32_t> run_begins() {
    return simt::shared<struct RunBegins, std::uint32_t, kMaxShareItems / 32>();
  }

  // Fills run_begins(), with the whole block.
  ROWLANE_DEVICE void find_run_begins() const {
    const int words = (share.items + simt::kWarpSize - 1) / simt::kWarpSize;
    for (int word = simt::warp_id(); word < words; word += kBlockThreads / simt::kWarpSize) {
      const int i = word * simt::kWarpSize + simt::lane_id();
      const bool begins = i > 0 && i < share.items && keys.load(i) != keys.load(i - 1);
      const std::uint32_t mask = simt::ballot(simt::kFullMask, begins);
      if (simt::lane_id() == 0) {
        run_begins().store(word, mask);
      }
    }
    simt::sync_block();
  }

  // How many runs begin after item 0 and before or at `item`.
  static ROWLANE_DEVICE int runs_until(int item) {
    int runs = 0;
    for (int word = 0; word < item / simt::kWarpSize; ++word) {
      runs += simt::popc(run_begins().load(word));
    }
    const std::uint32_t up_to_item = 0xffffffffU >> (31 - item % simt::kWarpSize);
    return runs + simt::popc(run_begins().load(item / simt::kWarpSize) & up_to_item);
  }
};

}  // namespace rowlane::kernels
