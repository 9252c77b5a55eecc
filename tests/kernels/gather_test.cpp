// The row gather's device code, byte for byte, in every schedule.
#include "cuda/gather.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "cuda/simt/emulated/options.h"
#include "tests/kernels/device_array.h"
#include "tests/kernels/schedules.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::Schedule;

std::vector<std::uint8_t> random_bytes(std::int64_t count) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

// A table with the given geometry; `shift` moves it off its alignment.
struct Geometry {
  std::int64_t num_rows;
  std::int64_t row_bytes;
  std::int64_t stride_bytes;
  std::int64_t shift = 0;
};

template <typename IndexT>
void expect_gathered(const Geometry& g, const std::vector<IndexT>& indices) {
  const DeviceArray<std::uint8_t> table(
      random_bytes(g.shift + (g.num_rows - 1) * g.stride_bytes + g.row_bytes));
  const DeviceArray<IndexT> device_indices(indices);
  const auto num_indices = static_cast<std::int64_t>(indices.size());
  const DeviceArray<std::uint8_t> out(static_cast<std::size_t>(num_indices * g.row_bytes));
  const Status status =
      gather({.table = table.data() + g.shift,
              .num_rows = g.num_rows,
              .row_bytes = g.row_bytes,
              .table_stride_bytes = g.stride_bytes,
              .indices = device_indices.data(),
              .index_type = sizeof(IndexT) == 4 ? IndexType::kInt32 : IndexType::kInt64,
              .num_indices = num_indices,
              .out = out.data()},
             nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  const std::vector<std::uint8_t> zeros(static_cast<std::size_t>(g.row_bytes), 0);
  for (std::int64_t i = 0; i < num_indices; ++i) {
    const auto row = static_cast<std::int64_t>(indices[static_cast<std::size_t>(i)]);
    const bool valid = row >= 0 && row < g.num_rows;
    const std::uint8_t* const expected =
        valid ? table.data() + g.shift + row * g.stride_bytes : zeros.data();
    ASSERT_EQ(
        std::memcmp(out.data() + i * g.row_bytes, expected, static_cast<std::size_t>(g.row_bytes)),
        0)
        << "row " << row << " at position " << i;
  }
}

class Gather : public ::testing::TestWithParam<Schedule> {};

TEST_P(Gather, CopiesRowsOfEveryWidthAndAlignment) {
  const CheckedSchedule schedule(GetParam());
  const std::vector<std::int64_t> indices{4, 0, 4, 6, 3, 3, 3, 1, 2, 5, 0};
  for (const std::int64_t row_bytes :
       {1, 2, 3, 4, 6, 8, 12, 16, 20, 48, 127, 128, 512, 1028, 1200, 2002, 4096, 4098}) {
    for (const std::int64_t shift : {0, 1, 2, 4, 8}) {
      SCOPED_TRACE(::testing::Message() << row_bytes << " bytes, shifted by " << shift);
      expect_gathered(Geometry{7, row_bytes, row_bytes, shift}, indices);
    }
  }
}

TEST_P(Gather, TakesInt32IndicesAndManyBlocks) {
  const CheckedSchedule schedule(GetParam());
  std::vector<std::int32_t> indices;
  for (int i = 0; i < 3000; ++i) {
    indices.push_back((i * 7919) % 101);
  }
  expect_gathered(Geometry{101, 20, 20}, indices);
  expect_gathered(Geometry{101, 256, 256}, indices);
}

// Whole blocks of every number of lanes, a last one that is short, and every hint.
TEST_P(Gather, CopiesRowsThatOutgrowTheCache) {
  const CheckedSchedule schedule(GetParam());
  const simt::emulated::ScopedOptions options;
  for (const double l2_scale : {1.0, 2e-5, 1e-6}) {
    options->l2_scale = l2_scale;
    for (const std::int64_t row_bytes : {1, 8, 12, 50, 64, 200, 260}) {
      SCOPED_TRACE(::testing::Message() << row_bytes << " bytes, L2 scaled by " << l2_scale);
      std::vector<std::int32_t> indices;
      for (int i = 0; i < 1043; ++i) {
        indices.push_back((i * 7919) % 5);
      }
      expect_gathered(Geometry{5, row_bytes, row_bytes, row_bytes % 2}, indices);
    }
  }
}

TEST_P(Gather, FollowsTheStrideOfTheTable) {
  const CheckedSchedule schedule(GetParam());
  expect_gathered<std::int64_t>(Geometry{5, 24, 40}, {4, 3, 0});
  expect_gathered<std::int64_t>(Geometry{5, 24, 0}, {4, 3, 0});
}

// A transposed table, and one that is a column expanded.
TEST_P(Gather, FollowsTheStrideOfTheElements) {
  const CheckedSchedule schedule(GetParam());
  const std::vector<std::int64_t> indices{4, 0, 4, 6, -1, 3, 7, 1};
  constexpr std::int64_t kNumRows = 7;
  for (const std::int64_t elem_bytes : {1, 2, 4, 8, 16}) {
    for (const std::int64_t dim : {2, 3, 32, 33, 257}) {
      for (const bool is_expanded : {false, true}) {
        SCOPED_TRACE(::testing::Message() << elem_bytes << " bytes, dim " << dim);
        const std::int64_t stride = is_expanded ? 0 : kNumRows * elem_bytes;
        const DeviceArray<std::uint8_t> table(
            random_bytes(elem_bytes * kNumRows * (is_expanded ? 1 : dim)));
        const DeviceArray<std::int64_t> device_indices(indices);
        const std::int64_t row_bytes = dim * elem_bytes;
        const DeviceArray<std::uint8_t> out(indices.size() * static_cast<std::size_t>(row_bytes));
        const Status status = gather({.table = table.data(),
                                      .num_rows = kNumRows,
                                      .row_bytes = row_bytes,
                                      .table_stride_bytes = elem_bytes,
                                      .elem_bytes = elem_bytes,
                                      .elem_stride_bytes = stride,
                                      .indices = device_indices.data(),
                                      .index_type = IndexType::kInt64,
                                      .num_indices = static_cast<std::int64_t>(indices.size()),
                                      .out = out.data()},
                                     nullptr);
        ASSERT_TRUE(status.ok()) << status.message();
        const std::vector<std::uint8_t> zeros(16, 0);
        for (std::size_t i = 0; i < indices.size(); ++i) {
          const std::int64_t row = indices[i];
          for (std::int64_t c = 0; c < dim; ++c) {
            const std::uint8_t* const expected = row >= 0 && row < kNumRows
                                                     ? table.data() + row * elem_bytes + c * stride
                                                     : zeros.data();
            ASSERT_EQ(
                std::memcmp(out.data() + static_cast<std::int64_t>(i) * row_bytes + c * elem_bytes,
                            expected, static_cast<std::size_t>(elem_bytes)),
                0)
                << "row " << row << ", column " << c;
          }
        }
      }
    }
  }
}

TEST_P(Gather, IndexOutOfRangeReadsNothingAndGivesZeros) {
  const CheckedSchedule schedule(GetParam());
  expect_gathered<std::int64_t>(Geometry{5, 16, 16},
                                {-1, 5, 2, std::int64_t{1} << 40, std::int64_t{-1} << 62});
  expect_gathered<std::int32_t>(Geometry{5, 16, 16}, {-1, 5, 2, 1 << 30});
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, Gather, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(GatherOfNothing, LaunchesNothing) {
  EXPECT_TRUE(gather({.num_rows = 3, .row_bytes = 8, .num_indices = 0}, nullptr).ok());
  EXPECT_TRUE(gather({.num_rows = 3, .row_bytes = 0, .num_indices = 5}, nullptr).ok());
}

TEST(GatherFault, NamesTheKernel) {
  const DeviceArray<std::int64_t> indices(std::vector<std::int64_t>{0, 0, 0});
  const DeviceArray<float> table(std::vector<float>{1, 2, 3, 4});
  const DeviceArray<float> out(8);  // one row too few
  const Status status = gather({.table = table.data(),
                                .num_rows = 1,
                                .row_bytes = 16,
                                .table_stride_bytes = 16,
                                .indices = indices.data(),
                                .num_indices = 3,
                                .out = out.data()},
                               nullptr);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("gather_kernel"));
}

}  // namespace
}  // namespace rowlane::kernels
