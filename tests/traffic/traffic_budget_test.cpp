// The kernels move no more bytes than their budgets allow.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <string>
#include <tuple>

#include "cuda/simt/emulated/options.h"
#include "tests/traffic/traffic_budgets.h"
#include "traffic/traffic.h"

namespace rowlane::kernels {
namespace {

using bench::Traffic;

// A gather of rows that are not short is held to the ideal trace, whatever its budget says; and to
// the use of sectors where rows are whole sectors, so that none is touched for the sake of a part.
constexpr std::int64_t kWideRowBytes = 128;
constexpr double kWideTimesFloor = 1.05;
constexpr std::int64_t kSectorBytes = 32;
constexpr double kWideSectorUse = 0.95;

// Whatever the budgets say, gradients are held to these multiples of their floors, the sort's bytes
// included.
constexpr double kWideSortedTimesFloor = 1.04;
constexpr double kNarrowSortedTimesFloor = 1.15;
constexpr double kSmallTimesFloor = 1.02;
constexpr double kWideRowsTimesFloor = 1.05;
constexpr double kNarrowRowsTimesFloor = 1.20;
constexpr double kStepTimesFloor = 1.10;
// For rows in bfloat16 that share their sectors with rows which take no step.
constexpr double kNarrowStepTimesFloor = 1.25;

std::string as_budget(const Traffic& traffic) {
  char text[128];
  // Rounded as budgets are: up, and the share down.
  std::snprintf(text, sizeof(text), "{%.3f, %.3f, %lld, %lld}", 1.01 * traffic.times_floor(),
                0.99 * traffic.sector_use.value_or(1.0), static_cast<long long>(traffic.launches),
                static_cast<long long>(traffic.longest_atomic_chain));
  return text;
}

void expect_within(const std::string& what, const Traffic& traffic, const Budget& budget) {
  SCOPED_TRACE(what + "; a budget for what it does now: " + as_budget(traffic) +
               "; its slowest launch: " + traffic.slowest);
  EXPECT_LE(traffic.times_floor(), budget.times_floor)
      << "moves more DRAM bytes than its budget: " << traffic.dram_read_bytes << " read and "
      << traffic.dram_write_bytes << " written, the floor is " << traffic.floor_bytes;
  EXPECT_GE(traffic.sector_use.value_or(0.0), budget.sector_use)
      << "uses less of the sectors that it touches than its budget";
  EXPECT_LE(traffic.launches, budget.launches) << "launches more than its budget";
  EXPECT_LE(traffic.longest_atomic_chain, budget.atomic_chain)
      << "adds to one address more often than its budget";
}

class TrafficBudget : public testing::TestWithParam<BudgetedWorkload> {
 protected:
  TrafficBudget()
      : options_(simt::emulated::Options{.host_threads = 2, .l2_scale = GetParam().scale}),
        problem_{.num_rows = GetParam().num_rows,
                 .dim = GetParam().dim,
                 .elem_type = GetParam().elem_type,
                 .index_type = GetParam().index_type,
                 .indices =
                     draw_indices(GetParam().indices, GetParam().num_rows, GetParam().num_indices)},
        meter_(problem_) {}

  // In words, for a message.
  [[nodiscard]] static std::string what(const char* op) {
    const BudgetedWorkload& workload = GetParam();
    return std::string(workload.name) + " with " + std::to_string(workload.num_rows) + " x " +
           std::to_string(workload.dim) +
           (workload.elem_type == kBFloat16 ? " bfloat16" : " float32") + " and " +
           std::to_string(workload.num_indices) + " " + workload.indices.label() + " indices, " +
           op;
  }

  [[nodiscard]] bool is_wide() const { return problem_.row_bytes() >= kWideRowBytes; }

  simt::emulated::ScopedOptions options_;
  bench::TrafficProblem problem_;
  bench::TrafficMeter meter_;
};

TEST_P(TrafficBudget, ForwardIsKept) {
  const Traffic traffic = meter_.forward();
  expect_within(what("forward"), traffic, GetParam().forward);
  if (is_wide()) {
    EXPECT_LE(traffic.times_floor(), kWideTimesFloor) << what("forward, against the ideal trace");
    if (problem_.row_bytes() % kSectorBytes == 0) {
      EXPECT_GE(traffic.sector_use.value_or(0.0), kWideSectorUse) << what("forward");
    }
  }
}

TEST_P(TrafficBudget, SortedBackwardIsKept) {
  if (!GetParam().sorted) {
    GTEST_SKIP() << "forward only";
  }
  const Traffic traffic = meter_.backward(BackwardRequest::kSorted);
  expect_within(what("sorted backward"), traffic, *GetParam().sorted);
  EXPECT_LE(traffic.times_floor(), is_wide() ? kWideSortedTimesFloor : kNarrowSortedTimesFloor);
}

TEST_P(TrafficBudget, SmallBackwardIsKept) {
  if (!GetParam().small) {
    GTEST_SKIP() << "forward only, or too many indices";
  }
  const Traffic traffic = meter_.backward(BackwardRequest::kSmall);
  expect_within(what("small backward"), traffic, *GetParam().small);
  EXPECT_EQ(traffic.launches, 1);
  EXPECT_LE(traffic.times_floor(), kSmallTimesFloor);
}

TEST_P(TrafficBudget, RowGradientIsKept) {
  if (!GetParam().rows) {
    GTEST_SKIP() << "forward only";
  }
  const Traffic traffic = meter_.row_gradient();
  expect_within(what("row gradient"), traffic, *GetParam().rows);
  EXPECT_LE(traffic.times_floor(), is_wide() ? kWideRowsTimesFloor : kNarrowRowsTimesFloor);
}

TEST_P(TrafficBudget, FusedStepIsKept) {
  if (!GetParam().sgd) {
    GTEST_SKIP() << "forward only";
  }
  const bool is_short = problem_.row_bytes() < kSectorBytes && problem_.elem_type == kBFloat16;
  const double most = is_short ? kNarrowStepTimesFloor : kStepTimesFloor;
  const Traffic sgd = meter_.step(StepRule::kSgd);
  expect_within(what("fused SGD"), sgd, *GetParam().sgd);
  EXPECT_LE(sgd.times_floor(), most);
  const Traffic adam = meter_.step(StepRule::kAdam);
  expect_within(what("fused Adam"), adam, *GetParam().adam);
  EXPECT_LE(adam.times_floor(), most);
}

TEST_P(TrafficBudget, AtomicBackwardIsKept) {
  if (!GetParam().atomic) {
    GTEST_SKIP() << "no atomic backward of this type";
  }
  expect_within(what("atomic backward"), meter_.backward(BackwardRequest::kAtomic),
                *GetParam().atomic);
}

// Hints keep rows in the cache that the ideal trace, without hints, reads again. With blocks that
// run at once, as on a device, this needs stores of whole sectors.
TEST(StreamedForward, ReadsLessThanTheIdealTrace) {
  for (const auto& [dim, elem_type, most] :
       {std::tuple{128, kFloat, 0.78}, {50, kFloat, 0.77}, {100, kBFloat16, 0.77}}) {
    const std::int64_t row_bytes = dim * elem_bytes(elem_type);
    simt::emulated::ScopedOptions options;
    options->host_threads = 2;
    options->l2_scale = 1.0 / 16;
    options->interleaved_blocks = 264;
    const std::int64_t l2_bytes = options->device->info.l2_bytes / 16;
    const std::int64_t num_rows = l2_bytes / row_bytes * 9 / 10;
    const bench::TrafficProblem problem{.num_rows = num_rows,
                                        .dim = dim,
                                        .elem_type = elem_type,
                                        .indices = draw_indices(kUniform, num_rows, 5 * num_rows)};
    const Traffic traffic = bench::TrafficMeter(problem).forward();
    EXPECT_LE(traffic.times_floor(), most) << "dim " << dim;
  }
}

std::string name_of(const testing::TestParamInfo<BudgetedWorkload>& info) {
  const BudgetedWorkload& workload = info.param;
  std::string name = std::string(workload.name) + "_D" + std::to_string(workload.dim) +
                     (workload.elem_type == kBFloat16 ? "_bf16_" : "_fp32_") +
                     workload.indices.label();
  for (char& c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Workloads, TrafficBudget, testing::ValuesIn(kTrafficBudgets), name_of);

}  // namespace
}  // namespace rowlane::kernels
