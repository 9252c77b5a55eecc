// The merge path of sorted items and row ends: how the work of a backward is cut into equal shares.
//
// The path merges the items 0 .. n-1, ascending by row, with the ends of the rows 0 .. rows-1: a
// row's end comes after its items. An item is item_weight long (what it costs to load and add a
// gradient), a row's end row_weight (what it costs to store the row). With row_weight 0 the path
// has items only. A cut at any point of it leaves the same work on both sides, whatever the skew.
#pragma once

#include <cstdint>

#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// Items < item and rows < row are before the cut; inside_run: row has items on both sides.
struct PathCut {
  std::int64_t item;
  std::int64_t row;
  bool inside_run;
};

// A cut inside a run is moved to the run's end when that is no farther: most rows then need no
// partial sums. One step of a warp looks that far.
inline constexpr int kMaxSnap = simt::kWarpSize;

template <typename KeyT>
struct MergePath {
  const KeyT* __restrict__ keys;  // [num_items], ascending
  std::int64_t num_items;
  std::int64_t num_rows;  // row ends on the path; every key is less
  int item_weight;
  int row_weight;

  [[nodiscard]] ROWLANE_DEVICE std::int64_t length() const {
    return item_weight * num_items + row_weight * num_rows;
  }

  // Moves a cut inside the run of `row` to its end if that is near; says whether it did.
  ROWLANE_DEVICE bool snap(KeyT row, std::int64_t& item) const {
    const int lane = simt::lane_id();
    const bool same = item + lane < num_items && simt::load_nc(keys + item + lane) == row;
    const std::uint32_t others = simt::ballot(simt::kFullMask, !same);
    if (others == 0) {
      return false;
    }
    item += simt::ffs(others) - 1;
    return true;
  }

  // The first item that begins at `distance` or farther along the path. A whole warp searches, a
  // 33rd of what is left in each step.
  [[nodiscard]] ROWLANE_DEVICE std::int64_t first_item_from(std::int64_t distance) const {
    std::int64_t low = 0;
    std::int64_t high = num_items;
    while (low < high) {
      const std::int64_t step = (high - low + simt::kWarpSize - 1) / simt::kWarpSize;
      const std::int64_t probe = low + simt::lane_id() * step;
      const bool is_beyond =
          probe >= high || item_weight * probe + row_weight * static_cast<std::int64_t>(
                                                                  simt::load_nc(keys + probe)) >=
                               distance;
      const std::uint32_t beyond = simt::ballot(simt::kFullMask, is_beyond);
      const int first = beyond == 0 ? simt::kWarpSize : simt::ffs(beyond) - 1;
      const std::int64_t base = low;
      if (first > 0) {
        low = base + (first - 1) * step + 1;
      }
      if (first < simt::kWarpSize && base + first * step < high) {
        high = base + first * step;
      }
    }
    return low;
  }

  // The cut at `distance`, by a whole warp.
  [[nodiscard]] ROWLANE_DEVICE PathCut cut(std::int64_t distance) const {
    if (distance >= length()) {
      return {num_items, num_rows, false};
    }
    std::int64_t item = row_weight == 0 ? distance / item_weight : first_item_from(distance);
    const std::int64_t row_before =
        item > 0 ? static_cast<std::int64_t>(simt::load_nc(keys + item - 1)) : -1;
    const std::int64_t row_beyond =
        item < num_items ? static_cast<std::int64_t>(simt::load_nc(keys + item)) : num_rows;
    if (row_before != row_beyond) {
      return {item, row_at(distance, item, row_before, row_beyond), false};
    }
    if (!snap(static_cast<KeyT>(row_before), item)) {
      return {item, row_before, true};
    }
    const std::int64_t row_next =
        item < num_items ? static_cast<std::int64_t>(simt::load_nc(keys + item)) : num_rows;
    return {item, row_at(distance, item, row_before, row_next), false};
  }

  // How many rows end before `distance`, between an item of row_before and one of row_beyond.
  [[nodiscard]] ROWLANE_DEVICE std::int64_t row_at(std::int64_t distance, std::int64_t item,
                                                   std::int64_t row_before,
                                                   std::int64_t row_beyond) const {
    if (row_weight == 0) {
      return row_before + 1;
    }
    const std::int64_t row = (distance - item_weight * item + row_weight - 1) / row_weight;
    return row <= row_before ? row_before + 1 : row > row_beyond ? row_beyond : row;
  }
};

}  // namespace rowlane::kernels
