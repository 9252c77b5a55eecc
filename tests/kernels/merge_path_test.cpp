// Cuts of the merge path against a walk along it.
#include "cuda/merge_path.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/simt/runtime.cuh"
#include "tests/kernels/device_array.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;

// One warp finds one cut.
__global__ void __launch_bounds__(simt::kWarpSize)
    cut_kernel(MergePath<std::uint32_t> path, const std::int64_t* distances,
               std::int64_t* __restrict__ cuts) {
  const std::int64_t which = simt::block_id();
  const PathCut cut = path.cut(simt::load_nc(distances + which));
  if (simt::lane_id() == 0) {
    simt::store(cuts + 3 * which, cut.item);
    simt::store(cuts + 3 * which + 1, cut.row);
    simt::store(cuts + 3 * which + 2, static_cast<std::int64_t>(cut.inside_run));
  }
}

std::vector<PathCut> find_cuts(const MergePath<std::uint32_t>& path,
                               const std::vector<std::int64_t>& distances) {
  const DeviceArray<std::int64_t> device_distances(distances);
  const DeviceArray<std::int64_t> cuts(3 * distances.size());
  const Status status = simt::launch(cut_kernel,
                                     {.name = "cut_kernel",
                                      .grid_x = static_cast<std::int64_t>(distances.size()),
                                      .block_threads = simt::kWarpSize},
                                     path, device_distances.data(), cuts.data());
  EXPECT_TRUE(status.ok()) << status.message();
  const auto numbers = cuts.to_vector();
  std::vector<PathCut> result;
  for (std::size_t i = 0; i < numbers.size(); i += 3) {
    result.push_back({numbers[i], numbers[i + 1], numbers[i + 2] != 0});
  }
  return result;
}

// The cut at each distance, by walking along the path, and then to the end of a run that is near.
std::vector<PathCut> walk(const std::vector<std::uint32_t>& keys, std::int64_t num_rows,
                          int item_weight, int row_weight) {
  const auto num_items = static_cast<std::int64_t>(keys.size());
  const auto key = [&](std::int64_t i) { return std::int64_t{keys[static_cast<std::size_t>(i)]}; };
  std::vector<PathCut> cuts;
  std::int64_t item = 0;
  std::int64_t row = 0;
  std::int64_t begin = 0;  // of what comes next: an item of `row`, or its end
  for (std::int64_t distance = 0;; ++distance) {
    while (begin < distance && (item < num_items || row < num_rows)) {
      const bool is_item = item < num_items && key(item) == row;
      begin += is_item ? item_weight : row_weight;
      (is_item ? item : row) += 1;
    }
    PathCut cut{item, row, false};
    const auto is_inside = [&](std::int64_t i) {
      return i > 0 && i < num_items && key(i - 1) == key(i);
    };
    cut.inside_run = is_inside(item);
    if (cut.inside_run) {
      std::int64_t end = item;
      while (is_inside(end)) {
        ++end;
      }
      if (end - item < kMaxSnap) {
        cut = {end, row + 1, false};
      }
    } else if (item > 0 && key(item - 1) == row) {
      cut.row = row + 1;  // a row ends with its last item
    }
    cuts.push_back(cut);
    if (item == num_items && row == num_rows) {
      return cuts;
    }
  }
}

TEST(MergePath, CutsWhereAWalkArrives) {
  std::mt19937 random(4);
  for (const auto& [item_weight, row_weight] : {std::pair{1, 1}, {4, 1}}) {
    for (const std::uint32_t num_rows : {1U, 7U, 90U, 900U}) {
      std::vector<std::uint32_t> keys(300);
      for (auto& key : keys) {
        key = random() % 4 == 0 ? num_rows / 2 : static_cast<std::uint32_t>(random()) % num_rows;
      }
      std::sort(keys.begin(), keys.end());
      const std::vector<PathCut> expected = walk(keys, num_rows, item_weight, row_weight);
      std::vector<std::int64_t> distances(expected.size());
      for (std::size_t d = 0; d < distances.size(); ++d) {
        distances[d] = static_cast<std::int64_t>(d);
      }
      const DeviceArray<std::uint32_t> device_keys(keys);
      const auto cuts = find_cuts({.keys = device_keys.data(),
                                   .num_items = 300,
                                   .num_rows = num_rows,
                                   .item_weight = item_weight,
                                   .row_weight = row_weight},
                                  distances);
      for (std::size_t d = 0; d < cuts.size(); ++d) {
        ASSERT_EQ(cuts[d].item, expected[d].item) << num_rows << " rows, distance " << d;
        ASSERT_EQ(cuts[d].inside_run, expected[d].inside_run) << num_rows << " rows, " << d;
        // Rows that end between the walk's cut and the moved one belong to either side.
        ASSERT_GE(cuts[d].row, expected[d].row) << num_rows << " rows, distance " << d;
        ASSERT_LE(cuts[d].row, d + 1 < cuts.size() ? cuts[d + 1].row : num_rows) << d;
      }
    }
  }
}

// Positions are 64 bits wide all along: three billion items, of which a cut reads a few.
TEST(MergePath, IsLongerThanThirtyTwoBits) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer would back this much address space by memory";
#else
  constexpr std::int64_t kItems = 3'000'000'000;
  constexpr std::int64_t kRows = 4'000'000'000;
  const simt::emulated::ScopedOptions options;
  options->poison = false;
  auto* const keys =
      static_cast<std::uint32_t*>(simt::emulated::device_alloc(kItems * 4));  // all zero
  const auto cuts = find_cuts(
      {.keys = keys, .num_items = kItems, .num_rows = kRows, .item_weight = 1, .row_weight = 1},
      {2'900'000'000, kItems + 5, kItems + kRows - 1, kItems + kRows});
  simt::emulated::device_free(keys);
  EXPECT_EQ(cuts[0].item, 2'900'000'000);
  EXPECT_TRUE(cuts[0].inside_run);
  EXPECT_EQ(cuts[1].item, kItems);
  EXPECT_EQ(cuts[1].row, 5);
  EXPECT_EQ(cuts[2].row, kRows - 1);
  EXPECT_EQ(cuts[3].row, kRows);
#endif
}

}  // namespace
}  // namespace rowlane::kernels
