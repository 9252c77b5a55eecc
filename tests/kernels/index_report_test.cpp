// What the host reads of indices that are out of range, from every kernel that reads indices.
#include "cuda/index_report.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/backward.h"
#include "cuda/gather.h"
#include "cuda/index_report_kernel.cuh"
#include "cuda/simt/runtime.cuh"
#include "tests/kernels/device_array.h"
#include "tests/kernels/schedules.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::Schedule;

constexpr std::int64_t kRows = 50;
constexpr std::int64_t kPaddingRow = 7;

// A report as the kernels get it: all zero.
class Report {
 public:
  Report() : memory_(std::vector<IndexReport>{{}}) {}
  [[nodiscard]] IndexReport* get() const { return memory_.data(); }
  [[nodiscard]] IndexReport read() const { return read_index_report(memory_.data()); }

 private:
  DeviceArray<IndexReport> memory_;
};

// How the indices are read.
struct Reader {
  std::string name;
  std::int64_t num_indices;
  std::int64_t dim = 3;
  bool is_forward = false;
  BackwardRequest request = BackwardRequest::kAuto;
  bool wide = false;
};

Status run(const Reader& reader, const DeviceArray<std::int64_t>& indices, IndexReport* report) {
  const auto num_indices = static_cast<std::int64_t>(indices.size());
  const DeviceArray<float> table(
      std::vector<float>(static_cast<std::size_t>(kRows * reader.dim), 1));
  DeviceArray<float> rows(indices.size() * static_cast<std::size_t>(reader.dim));
  if (reader.is_forward) {
    return gather({.table = table.data(),
                   .num_rows = kRows,
                   .row_bytes = reader.dim * 4,
                   .table_stride_bytes = reader.dim * 4,
                   .indices = indices.data(),
                   .num_indices = num_indices,
                   .out = rows.data(),
                   .report = report},
                  nullptr);
  }
  rows.fill(1);
  const BackwardProblem problem{.num_rows = kRows,
                                .dim = reader.dim,
                                .num_indices = num_indices,
                                .padding_row = kPaddingRow,
                                .source = {.grad_output = rows.data()}};
  BackwardPolicy policy;
  ROWLANE_RETURN_IF_ERROR(select_backward_policy(problem, reader.request, &policy));
  if (reader.wide) {
    policy.pairs = {.wide = true, .key_bits = 6};
  }
  BackwardWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(problem, policy, &plan));
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
  return backward({.problem = problem,
                   .indices = indices.data(),
                   .rows_out = table.data(),
                   .workspace = workspace.data(),
                   .report = report},
                  policy, nullptr);
}

// The padding row among them: it is no mistake.
std::vector<std::int64_t> good_indices(std::int64_t count) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < count; ++i) {
    indices.push_back(i % 3 == 0 ? kPaddingRow : i * 31 % kRows);
  }
  return indices;
}

class IndexReports : public ::testing::TestWithParam<std::tuple<Reader, Schedule>> {};

TEST_P(IndexReports, CountEveryBadIndexAndDescribeOne) {
  const auto& [reader, schedule] = GetParam();
  const CheckedSchedule checked(schedule);
  auto indices = good_indices(reader.num_indices);
  const std::vector<std::pair<std::int64_t, std::int64_t>> bad{
      {5, kRows},
      {6, -1},
      {reader.num_indices / 2, std::int64_t{-1} << 62},
      {reader.num_indices - 1, std::int64_t{1} << 40}};
  for (const auto& [position, index] : bad) {
    indices[static_cast<std::size_t>(position)] = index;
  }
  const Report report;
  const Status status = run(reader, DeviceArray<std::int64_t>(indices), report.get());
  ASSERT_TRUE(status.ok()) << status.message();
  const IndexReport found = report.read();
  EXPECT_EQ(found.num_bad, 4);
  EXPECT_EQ(found.num_rows, kRows);
  EXPECT_TRUE(std::set(bad.begin(), bad.end()).contains({found.position, found.index}))
      << "index " << found.index << " at position " << found.position;
}

TEST_P(IndexReports, AreLeftAloneByGoodIndicesAndCanBeLeftOut) {
  const auto& [reader, schedule] = GetParam();
  const CheckedSchedule checked(schedule);
  auto indices = good_indices(reader.num_indices);
  const Report report;
  ASSERT_TRUE(run(reader, DeviceArray<std::int64_t>(indices), report.get()).ok());
  EXPECT_EQ(report.read().num_bad, 0);
  EXPECT_EQ(report.read().is_complete, 0);
  indices[1] = kRows;
  EXPECT_TRUE(run(reader, DeviceArray<std::int64_t>(indices), nullptr).ok());
}

// As a graph does that is replayed with other indices in the same place.
TEST_P(IndexReports, TheSameLaunchReportsAgainOnceCleared) {
  const auto& [reader, schedule] = GetParam();
  const CheckedSchedule checked(schedule);
  DeviceArray<std::int64_t> indices(good_indices(reader.num_indices));
  const Report report;
  for (const std::int64_t position : {3, 4}) {
    indices[static_cast<std::size_t>(position)] = -position;
    ASSERT_TRUE(run(reader, indices, report.get()).ok());
    EXPECT_EQ(report.read().num_bad, 1);
    EXPECT_EQ(report.read().position, position);
    EXPECT_EQ(report.read().index, -position);
    *report.get() = {};
    EXPECT_EQ(report.read().num_bad, 0);
    indices[static_cast<std::size_t>(position)] = 0;
  }
}

__global__ void report_kernel(IndexReport* report, std::int64_t first_row, std::int64_t table) {
  report_index(report, 3, 70, 20, first_row, table);
}

TEST(IndexReport, NamesATableAndTheFirstOfItsRowsOnlyWhereToldTo) {
  const Report report;
  const auto launch = [&](std::int64_t first_row, std::int64_t table) {
    *report.get() = {};
    return simt::launch(report_kernel, {.name = "report_kernel"}, report.get(), first_row, table);
  };
  ASSERT_TRUE(launch(40, 2).ok());
  EXPECT_EQ(report.read().first_row, 40);
  EXPECT_EQ(report.read().table, 2);
  EXPECT_EQ(report.read().index, 70);
  ASSERT_TRUE(launch(0, 0).ok());
  EXPECT_EQ(report.read().first_row, 0);
  EXPECT_EQ(report.read().table, 0);
}

INSTANTIATE_TEST_SUITE_P(
    AllKernels, IndexReports,
    ::testing::Combine(
        ::testing::Values(
            Reader{.name = "Gather", .num_indices = 700, .is_forward = true},
            Reader{.name = "GatherOfNumbers", .num_indices = 700, .dim = 1, .is_forward = true},
            Reader{.name = "GatherOfWideRows", .num_indices = 70, .dim = 600, .is_forward = true},
            Reader{.name = "GatherOfFewOddRows", .num_indices = 16, .dim = 601, .is_forward = true},
            Reader{.name = "Small", .num_indices = 700, .request = BackwardRequest::kSmall},
            Reader{.name = "Atomic", .num_indices = 700, .request = BackwardRequest::kAtomic},
            Reader{
                .name = "SortedByABlock", .num_indices = 700, .request = BackwardRequest::kSorted},
            Reader{
                .name = "SortedByTiles", .num_indices = 4500, .request = BackwardRequest::kSorted},
            Reader{.name = "SortedByTheLibrary",
                   .num_indices = 700,
                   .request = BackwardRequest::kSorted,
                   .wide = true}),
        ::testing::ValuesIn(kSchedules)),
    [](const auto& info) { return std::get<0>(info.param).name + std::get<1>(info.param).name; });

}  // namespace
}  // namespace rowlane::kernels
