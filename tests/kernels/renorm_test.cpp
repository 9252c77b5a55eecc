// The renorm's device code: every norm, element type, width and repetition, in every schedule.
#include "cuda/renorm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "cuda/simt/simt.cuh"
#include "tests/kernels/device_array.h"
#include "tests/kernels/schedules.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::Schedule;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
constexpr ElemType kElemType = std::is_same_v<T, float>        ? ElemType::kFloat32
                               : std::is_same_v<T, double>     ? ElemType::kFloat64
                               : std::is_same_v<T, simt::half> ? ElemType::kFloat16
                                                               : ElemType::kBFloat16;

// What one rounding to T may change.
template <typename T>
constexpr double kEpsilon = std::is_same_v<T, double>       ? 1e-14
                            : std::is_same_v<T, float>      ? 1e-6
                            : std::is_same_v<T, simt::half> ? 0x1p-10
                                                            : 0x1p-7;

struct Problem {
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t row_stride;
  double max_norm = 1;
  double norm_type = 2;
  std::int64_t shift = 0;  // elements that the table is off its alignment
  // What the device code is told; a table of so many rows no test could afford.
  std::int64_t claimed_rows = 0;
};

template <typename T>
std::vector<T> random_table(const Problem& problem) {
  std::mt19937 random(5);
  std::vector<T> values(
      static_cast<std::size_t>(problem.shift + problem.num_rows * problem.row_stride));
  for (auto& value : values) {
    value = simt::from_accum<T>(static_cast<simt::Accum<T>>(static_cast<int>(random() % 65) - 32) /
                                simt::Accum<T>{8});
  }
  return values;
}

template <typename T>
double norm_of(const T* row, const Problem& problem) {
  double sum = 0;
  for (std::int64_t c = 0; c < problem.dim; ++c) {
    const double x = std::abs(static_cast<double>(simt::to_accum(row[c])));
    sum = std::isinf(problem.norm_type) ? std::max(sum, x) : sum + std::pow(x, problem.norm_type);
  }
  return std::isinf(problem.norm_type) ? sum : std::pow(sum, 1 / problem.norm_type);
}

template <typename T, typename IndexT>
void expect_scaled(const Problem& problem, const std::vector<IndexT>& indices) {
  SCOPED_TRACE(::testing::Message()
               << problem.num_rows << " rows of " << problem.dim << ", stride "
               << problem.row_stride << ", norm " << problem.norm_type << ", shift "
               << problem.shift << ", " << sizeof(T) << " bytes");
  const auto before = random_table<T>(problem);
  const DeviceArray<T> table(before);
  const DeviceArray<IndexT> device_indices(indices);
  const auto num_indices = static_cast<std::int64_t>(indices.size());
  const std::int64_t num_rows = std::max(problem.num_rows, problem.claimed_rows);
  std::int64_t workspace_bytes = 0;
  ASSERT_TRUE(renorm_workspace_bytes(num_rows, num_indices, &workspace_bytes).ok());
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(workspace_bytes));
  const Status status =
      renorm({.table = table.data() + problem.shift,
              .num_rows = num_rows,
              .dim = problem.dim,
              .row_stride = problem.row_stride,
              .elem_type = kElemType<T>,
              .indices = device_indices.data(),
              .index_type = sizeof(IndexT) == 8 ? IndexType::kInt64 : IndexType::kInt32,
              .num_indices = num_indices,
              .max_norm = problem.max_norm,
              .norm_type = problem.norm_type,
              .workspace = workspace.data()},
             nullptr);
  ASSERT_TRUE(status.ok()) << status.message();

  const std::set<std::int64_t> named(indices.begin(), indices.end());
  const auto after = table.to_vector();
  for (std::int64_t row = 0; row < problem.num_rows; ++row) {
    const std::int64_t begin = problem.shift + row * problem.row_stride;
    const double norm = norm_of(before.data() + begin, problem);
    const bool is_scaled = named.contains(row) && norm > problem.max_norm;
    for (std::int64_t c = 0; c < problem.row_stride; ++c) {
      const auto i = static_cast<std::size_t>(begin + c);
      const auto old = static_cast<double>(simt::to_accum(before[i]));
      const auto now = static_cast<double>(simt::to_accum(after[i]));
      if (is_scaled && c < problem.dim) {
        const double expected = old * (problem.max_norm / (norm + 1e-7));
        ASSERT_NEAR(now, expected, kEpsilon<T> * std::abs(expected) + 1e-7)
            << "row " << row << " column " << c;
      } else {
        ASSERT_EQ(now, old) << "row " << row << " column " << c;
      }
    }
  }
}

class Renorm : public ::testing::TestWithParam<Schedule> {};

template <typename T>
void expect_all_widths() {
  const std::vector<std::int64_t> indices{4, 0, 4, 6, 3, 3, 3, 1, 0};
  for (const std::int64_t dim : {1, 2, 3, 4, 7, 8, 31, 32, 33, 64, 100, 128, 257, 1024}) {
    expect_scaled<T>(Problem{.num_rows = 8, .dim = dim, .row_stride = dim}, indices);
  }
  for (const std::int64_t shift : {1, 2, 4}) {
    expect_scaled<T>(Problem{.num_rows = 8, .dim = 32, .row_stride = 40, .shift = shift}, indices);
  }
}

TEST_P(Renorm, ScalesDistinctRowsOnceAtEveryWidthAndAlignment) {
  const CheckedSchedule schedule(GetParam());
  expect_all_widths<float>();
  expect_all_widths<double>();
  expect_all_widths<simt::half>();
  expect_all_widths<simt::bfloat16>();
}

TEST_P(Renorm, KnowsEveryNorm) {
  const CheckedSchedule schedule(GetParam());
  const std::vector<std::int32_t> indices{5, 5, 2, 0, 7};
  for (const double norm_type : {0.5, 1., 2., 3., 7.5, kInfinity}) {
    for (const double max_norm : {0., 0.5, 3., 20.}) {
      const Problem problem{
          .num_rows = 8, .dim = 12, .row_stride = 12, .max_norm = max_norm, .norm_type = norm_type};
      expect_scaled<float>(problem, indices);
      expect_scaled<double>(problem, indices);
    }
  }
}

// Sorts of one block and of several tiles, in which runs cross the edges of blocks.
TEST_P(Renorm, ScalesRowsOnceHoweverOftenTheyAreNamed) {
  const CheckedSchedule schedule(GetParam());
  std::vector<std::int64_t> indices(6000);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<std::int64_t>(i % 3 == 0 ? 7 : (i * 7919) % 50);
  }
  expect_scaled<float>(Problem{.num_rows = 50, .dim = 5, .row_stride = 5}, indices);
  expect_scaled<float>(Problem{.num_rows = 50, .dim = 64, .row_stride = 64},
                       std::vector<std::int64_t>(900, 49));
}

// Row numbers of 64 bits.
TEST_P(Renorm, TakesTablesOfMoreThanFourBillionRows) {
  const CheckedSchedule schedule(GetParam());
  const std::vector<std::int64_t> indices{4, 0, 4, 6, 3, 3, 3, 1, 0};
  const Problem problem{
      .num_rows = 8, .dim = 33, .row_stride = 36, .claimed_rows = std::int64_t{1} << 33};
  expect_scaled<float>(problem, indices);
  expect_scaled<double>(problem, indices);
  expect_scaled<simt::half>(problem, indices);
  expect_scaled<simt::bfloat16>(problem, indices);
}

TEST_P(Renorm, IndexOutOfRangeDoesNothing) {
  const CheckedSchedule schedule(GetParam());
  expect_scaled<float>(Problem{.num_rows = 5, .dim = 4, .row_stride = 4},
                       std::vector<std::int64_t>{-1, 5, 2, std::int64_t{1} << 40});
  expect_scaled<float>(Problem{.num_rows = 5, .dim = 4, .row_stride = 4},
                       std::vector<std::int32_t>{-1, 5});
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, Renorm, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(RenormOfNothing, LaunchesNothing) {
  EXPECT_TRUE(renorm({.num_rows = 3, .dim = 8, .num_indices = 0}, nullptr).ok());
  EXPECT_TRUE(renorm({.num_rows = 0, .dim = 8, .num_indices = 2}, nullptr).ok());
  EXPECT_TRUE(renorm({.num_rows = 3, .dim = 0, .num_indices = 2}, nullptr).ok());
}

}  // namespace
}  // namespace rowlane::kernels
