// The sort of the index list: every method, against a stable sort.
#include "cuda/sort_pairs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "cuda/policy.h"
#include "tests/kernels/device_array.h"
#include "tests/kernels/schedules.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::Schedule;

template <typename IndexT>
void expect_sorted(const std::vector<IndexT>& indices, std::int64_t num_rows, SortMethod method,
                   std::int64_t padding_row = -1, std::optional<int> passes = std::nullopt) {
  const std::size_t n = indices.size();
  SCOPED_TRACE(::testing::Message()
               << n << " indices of " << num_rows << " rows, method " << static_cast<int>(method)
               << ", passes " << passes.value_or(0));
  PairFormat format = select_pair_format(num_rows, static_cast<std::int64_t>(n));
  format.method = method;
  format.passes = passes.value_or(format.passes);
  std::int64_t temp_bytes = 0;
  ASSERT_TRUE(sort_pairs_temp_bytes(static_cast<std::int64_t>(n), format, &temp_bytes).ok());
  const DeviceArray<IndexT> device_indices(indices);
  const std::size_t spare = sort_needs_spare(format) ? n : 0;
  const DeviceArray<std::uint32_t> spare_keys(spare);
  const DeviceArray<std::uint32_t> spare_positions(spare);
  const DeviceArray<std::uint32_t> keys(n);
  const DeviceArray<std::uint32_t> positions(n);
  const DeviceArray<std::uint8_t> temp(static_cast<std::size_t>(temp_bytes));
  const Status status =
      sort_pairs({.indices = device_indices.data(),
                  .index_type = sizeof(IndexT) == 8 ? IndexType::kInt64 : IndexType::kInt32,
                  .num_indices = static_cast<std::int64_t>(n),
                  .num_rows = num_rows,
                  .padding_row = padding_row,
                  .format = format,
                  .spare_keys = spare_keys.data(),
                  .spare_positions = spare_positions.data(),
                  .keys = keys.data(),
                  .positions = positions.data(),
                  .temp = temp.data(),
                  .temp_bytes = temp_bytes},
                 nullptr);
  ASSERT_TRUE(status.ok()) << status.message();

  const auto key_of = [&](std::uint32_t position) {
    const auto row = static_cast<std::int64_t>(indices[position]);
    return row < 0 || row >= num_rows || row == padding_row ? num_rows : row;
  };
  std::vector<std::uint32_t> expected(n);
  std::iota(expected.begin(), expected.end(), 0U);
  std::sort(expected.begin(), expected.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(key_of(a), a) < std::pair(key_of(b), b);
  });
  ASSERT_EQ(positions.to_vector(), expected);
  const auto sorted_keys = keys.to_vector();
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(sorted_keys[i], key_of(expected[i])) << "pair " << i;
  }
}

template <typename IndexT>
std::vector<IndexT> draw(std::size_t count, std::int64_t num_rows) {
  std::mt19937_64 random(count);
  std::vector<IndexT> indices(count);
  for (auto& index : indices) {
    index = static_cast<IndexT>(random() % static_cast<std::uint64_t>(num_rows));
  }
  return indices;
}

class SortPairs : public ::testing::TestWithParam<Schedule> {};

TEST_P(SortPairs, OfOneBlock) {
  const CheckedSchedule schedule(GetParam());
  for (const std::size_t n : {1, 2, 31, 33, 255, 257, 1023, 1024, 1025, 4096}) {
    expect_sorted(draw<std::int64_t>(n, 1000), 1000, SortMethod::kBlock);
  }
  for (const std::int64_t num_rows : {1, 2, 255, 256, 65535, 100'000, 1 << 24, 2'000'000'000}) {
    expect_sorted(draw<std::int32_t>(700, num_rows), num_rows, SortMethod::kBlock);
  }
}

TEST_P(SortPairs, OfTiles) {
  const CheckedSchedule schedule(GetParam());
  for (const std::size_t n : {1, 2, 31, 255, 511, 512, 513, 4095, 4097}) {
    expect_sorted(draw<std::int64_t>(n, 1000), 1000, SortMethod::kTiles);
  }
  for (const std::int64_t num_rows : {1, 3, 1023, 1024, 100'000, 1 << 20, 2'000'000'000}) {
    expect_sorted(draw<std::int32_t>(3000, num_rows), num_rows, SortMethod::kTiles);
  }
}

// Tiles of each length, with one pair more and one less than fill the last one.
TEST_P(SortPairs, OfTilesThatEndWithTheList) {
  const CheckedSchedule schedule(GetParam());
  for (const std::size_t n : {16383, 16384, 16385, 17407, 17409, 32768, 32769, 34815, 34817}) {
    expect_sorted(draw<std::int64_t>(n, 5000), 5000, SortMethod::kTiles);
  }
}

TEST_P(SortPairs, PutsWhatIsSkippedLast) {
  const CheckedSchedule schedule(GetParam());
  auto indices = draw<std::int64_t>(3000, 90);
  indices[0] = -1;
  indices[1500] = 90;
  indices[2999] = std::int64_t{1} << 40;
  for (const auto method : {SortMethod::kBlock, SortMethod::kTiles, SortMethod::kLibrary}) {
    expect_sorted(indices, 90, method, /*padding_row=*/13);
    expect_sorted(std::vector<std::int64_t>(2500, 13), 90, method);
    expect_sorted(std::vector<std::int64_t>(2500, 13), 90, method, /*padding_row=*/13);
  }
}

// One pass, and more passes than are worth it; digits of equal and of different lengths, of a
// single bit as well.
TEST(SortPairsPasses, AreAnyNumberThatIsAskedFor) {
  for (int key_bits = 1; key_bits <= 20; ++key_bits) {
    const std::int64_t num_rows = (std::int64_t{1} << key_bits) - 1;
    expect_sorted(draw<std::int32_t>(1500, num_rows), num_rows, SortMethod::kBlock);
    for (const int passes : {1, 2, 3, 5}) {
      if (passes <= key_bits && key_bits <= passes * kMaxDigitBits) {
        expect_sorted(draw<std::int64_t>(1500, num_rows), num_rows, SortMethod::kTiles, -1, passes);
      }
    }
  }
}

// So many tiles that threads share out the counts, and take several steps to read them.
TEST(SortPairsOfManyTiles, AddUpAllCounts) {
  constexpr std::size_t kMost = std::size_t{kMaxTileSort};
  expect_sorted(draw<std::int64_t>(kMost - 1, 100'000), 100'000, SortMethod::kTiles);
  expect_sorted(draw<std::int32_t>(kMost / 2, 1'000'000), 1'000'000, SortMethod::kTiles);
  expect_sorted(std::vector<std::int32_t>(kMost / 2 + 1, 7), 1000, SortMethod::kTiles);
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, SortPairs, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rowlane::kernels
