// The backward that ends in a step: every rule and index set, once for each row, in every schedule.
#include "cuda/backward_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "cuda/segment_step.h"
#include "tests/kernels/schedules.h"
#include "tests/kernels/step_fixture.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::RowSums;
using testing::Schedule;
using testing::StepTable;
using testing::StepVariant;

struct Problem {
  std::int64_t num_rows;
  std::int64_t dim;
  std::vector<std::int64_t> indices;
  std::int64_t padding_row = -1;
  bool scale_by_count = false;
  bool wide = false;  // 64-bit pairs, which no test could afford to need
};

template <typename T>
Status run_step(const Problem& problem, const kernels::RowStep& step, const T* grad_output,
                IndexReport* report = nullptr) {
  const DeviceArray<std::int64_t> indices(problem.indices);
  const BackwardProblem sizes{.num_rows = problem.num_rows,
                              .dim = problem.dim,
                              .num_indices = static_cast<std::int64_t>(problem.indices.size()),
                              .padding_row = problem.padding_row,
                              .source = {.grad_output = grad_output},
                              .scale_by_count = problem.scale_by_count,
                              .elem_type = testing::kElemType<T>};
  BackwardStepPlan plan;
  ROWLANE_RETURN_IF_ERROR(plan_backward_step(sizes, step, &plan));
  if (problem.wide) {
    plan.policy.pairs.wide = true;
    plan.policy.pairs.method = SortMethod::kLibrary;
    plan.policy.segments = select_segment_policy(sizes.num_rows, sizes.dim, sizes.num_indices,
                                                 sizeof(T), plan.problem.target, 0, true);
    ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(plan.problem, plan.policy, &plan.backward));
    plan.total_bytes = plan.backward.total_bytes;
  }
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
  return backward_step(
      {.step = step, .indices = indices.data(), .workspace = workspace.data(), .report = report},
      plan, nullptr);
}

// Sums of small integers, exact in any order.
template <typename T>
RowSums sums_of(const Problem& problem, const std::vector<T>& grad_output) {
  RowSums sums;
  std::map<std::int64_t, int> counts;
  for (std::size_t i = 0; i < problem.indices.size(); ++i) {
    const std::int64_t row = problem.indices[i];
    if (row < 0 || row >= problem.num_rows || row == problem.padding_row) {
      continue;
    }
    ++counts[row];
    auto& sum = sums[row];
    sum.resize(static_cast<std::size_t>(problem.dim));
    for (std::size_t c = 0; c < sum.size(); ++c) {
      sum[c] += static_cast<double>(
          simt::to_accum(grad_output[i * static_cast<std::size_t>(problem.dim) + c]));
    }
  }
  for (auto& [row, sum] : sums) {
    for (double& x : sum) {
      x /= problem.scale_by_count ? counts[row] : 1;
    }
  }
  return sums;
}

template <typename T>
void expect_stepped(const Problem& problem, const StepVariant& variant) {
  SCOPED_TRACE(::testing::Message()
               << problem.num_rows << " rows, dim " << problem.dim << ", " << problem.indices.size()
               << " indices, " << sizeof(T) << " bytes, " << variant.label());
  StepTable<T> table(problem.num_rows, problem.dim, variant);
  const auto grad_output =
      testing::random_integers<T>(problem.indices.size() * static_cast<std::size_t>(problem.dim));
  const DeviceArray<T> device_grad(grad_output);
  const Status status = run_step(problem, table.step(), device_grad.data());
  ASSERT_TRUE(status.ok()) << status.message();
  RowSums sums = sums_of(problem, grad_output);
  if (variant.counts_rows || !rule_traits(variant.rule).is_elementwise) {
    // By way of a row gradient in the table's type.
    for (auto& [row, sum] : sums) {
      for (double& x : sum) {
        x = static_cast<double>(
            simt::to_accum(simt::from_accum<T>(static_cast<simt::Accum<T>>(x))));
      }
    }
  }
  table.expect_stepped(sums);
}

std::vector<Problem> problems(std::int64_t dim) {
  std::vector<Problem> result;
  std::mt19937 random(9);
  const auto draw = [&](std::size_t count, std::int64_t num_rows) {
    std::vector<std::int64_t> indices(count);
    for (auto& index : indices) {
      index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(num_rows));
    }
    return indices;
  };
  result.push_back({50, dim, draw(1, 50)});
  result.push_back({50, dim, draw(700, 50)});
  result.push_back({300, dim, draw(300, 300)});
  result.push_back({3, dim, std::vector<std::int64_t>(1100, 1)});  // a run over several shares
  auto half_hot = draw(500, 200);
  std::fill(half_hot.begin(), half_hot.begin() + 250, 100);
  result.push_back({200, dim, half_hot, /*padding_row=*/17});
  auto with_bad = draw(520, 9);
  with_bad[0] = -1;
  with_bad[300] = 9;
  with_bad[519] = std::int64_t{1} << 50;
  result.push_back({9, dim, with_bad});
  result.push_back({9, dim, std::vector<std::int64_t>(300, 4), /*padding_row=*/4});
  return result;
}

class BackwardStep : public ::testing::TestWithParam<Schedule> {
 protected:
  // Schedules that switch between threads all the time are slow.
  [[nodiscard]] static std::vector<std::int64_t> dims() {
    return GetParam().preempt_every > 0 ? std::vector<std::int64_t>{5}
                                        : std::vector<std::int64_t>{1, 3, 8, 33, 130};
  }
};

TEST_P(BackwardStep, StepsExactlyByStochasticGradientDescent) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : dims()) {
    for (const Problem& problem : problems(dim)) {
      expect_stepped<float>(problem, {.weight_decay = 0.25});
      expect_stepped<simt::bfloat16>(problem, {.has_momentum = true, .states_are_float = true});
    }
  }
}

// From states that are not zero, so that a second step, or one of a row without a gradient, shows.
TEST_P(BackwardStep, StepsEachRowOnceByAdam) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : dims()) {
    for (const Problem& problem : problems(dim)) {
      expect_stepped<float>(problem, {.rule = StepRule::kAdam, .weight_decay = 0.125});
    }
  }
}

TEST_P(BackwardStep, KnowsEveryRule) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : {3, 36}) {
    const Problem problem = problems(dim)[GetParam().preempt_every > 0 ? 0 : 4];
    for (const auto& variants : {testing::elementwise_variants(), testing::row_wise_variants()}) {
      for (const StepVariant& variant : variants) {
        expect_stepped<float>(problem, variant);
        expect_stepped<double>(problem, variant);
        expect_stepped<simt::bfloat16>(problem, variant);
        expect_stepped<simt::half>(problem, variant);
      }
    }
  }
}

TEST_P(BackwardStep, CountsRowsAndScalesByCount) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : {3, 36}) {
    Problem problem = problems(dim)[1];
    for (const StepRule rule : {StepRule::kAdam, StepRule::kSparseAdam, StepRule::kSgd}) {
      expect_stepped<float>(problem, {.rule = rule, .counts_rows = true});
    }
    problem.scale_by_count = true;
    expect_stepped<double>(problem, {.rule = StepRule::kAdam});
    expect_stepped<double>(problem, {.rule = StepRule::kRowWiseAdagrad});
  }
}

TEST_P(BackwardStep, RoundsTablesOfSixteenBitsOnce) {
  const CheckedSchedule schedule(GetParam());
  for (const StepVariant& variant : testing::rounding_variants()) {
    expect_stepped<simt::bfloat16>(problems(36)[2], variant);
    expect_stepped<simt::half>(problems(3)[2], variant);
  }
}

// More shares than one warp adds up.
TEST_P(BackwardStep, SumsARunOverManyShares) {
  const CheckedSchedule schedule(GetParam());
  Problem problem{3, 36, std::vector<std::int64_t>(3000, 1)};
  expect_stepped<float>(problem, {});
  problem.scale_by_count = true;
  expect_stepped<double>(problem, {.rule = StepRule::kAdam});
}

TEST_P(BackwardStep, TakesEveryAlignment) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t shift : {1, 2, 4}) {
    expect_stepped<float>(problems(32)[0], {.rule = StepRule::kAdam, .shift = shift});
    expect_stepped<simt::bfloat16>(problems(32)[0], {.rule = StepRule::kLamb, .shift = shift});
  }
}

TEST_P(BackwardStep, TakesPairsOfSixtyFourBits) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : {3, 36}) {
    Problem problem = problems(dim)[2];
    problem.wide = true;
    expect_stepped<float>(problem, {.rule = StepRule::kAdam});
    expect_stepped<simt::bfloat16>(problem, {});
  }
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, BackwardStep, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(BackwardStepRaces, AreNone) {
  const simt::emulated::ScopedOptions options;
  options->check_global_races = true;
  options->check_shared_races = true;
  for (const Problem& problem : problems(70)) {
    expect_stepped<float>(problem, {.rule = StepRule::kAdam});
    expect_stepped<simt::bfloat16>(problem, {.rule = StepRule::kLamb, .counts_rows = true});
  }
}

std::vector<float> normal_gradient(std::size_t count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> grad(count);
  for (float& value : grad) {
    value = normal(random);
  }
  return grad;
}

TEST(BackwardStepBits, AreTheSameInTwentySchedules) {
  Problem problem{.num_rows = 40, .dim = 37, .indices = std::vector<std::int64_t>(3000)};
  std::mt19937 random(5);
  for (auto& index : problem.indices) {
    index = random() % 3 == 0 ? 7 : static_cast<std::int64_t>(random() % 40);
  }
  const DeviceArray<float> grad(normal_gradient(3000 * 37));
  const auto run = [&] {
    const StepTable<float> table(problem.num_rows, problem.dim, {.rule = StepRule::kAdam});
    EXPECT_TRUE(run_step(problem, table.step(), grad.data()).ok());
    return table.read().bytes;
  };
  const auto reference = run();
  for (const Schedule& schedule : kSchedules) {
    const CheckedSchedule checked(schedule);
    EXPECT_EQ(run(), reference) << schedule.name;
  }
  for (std::uint64_t seed = 10; seed < 24; ++seed) {
    const simt::emulated::ScopedOptions options;
    options->order = simt::emulated::Order::kShuffled;
    options->seed = seed;
    options->host_threads = 1 + static_cast<int>(seed % 2);
    options->device = simt::emulated::find_device(seed % 3 == 0 ? "l4" : "b200");
    EXPECT_EQ(run(), reference) << "seed " << seed;
  }
}

// Where each row has one gradient, the sums are the same, and so are the steps.
TEST(BackwardStepBits, AreThoseOfTheStepOfRows) {
  Problem problem{.num_rows = 90, .dim = 20, .indices = std::vector<std::int64_t>(60)};
  std::iota(problem.indices.begin(), problem.indices.end(), 11);
  std::shuffle(problem.indices.begin(), problem.indices.end(), std::mt19937(4));
  const DeviceArray<std::int64_t> rows(problem.indices);
  const DeviceArray<float> grad(normal_gradient(60 * 20));
  for (const auto& variants : {testing::elementwise_variants(), testing::row_wise_variants()}) {
    for (const StepVariant& variant : variants) {
      SCOPED_TRACE(variant.label());
      const StepTable<float> fused(problem.num_rows, problem.dim, variant);
      ASSERT_TRUE(run_step(problem, fused.step(), grad.data()).ok());
      const StepTable<float> unfused(problem.num_rows, problem.dim, variant);
      ASSERT_TRUE(
          row_step(
              {.step = unfused.step(), .rows = rows.data(), .values = grad.data(), .max_slots = 60},
              nullptr)
              .ok());
      EXPECT_EQ(fused.read().bytes, unfused.read().bytes);
    }
  }
}

TEST(BackwardStepMemory, HoldsNoGradientOfElementwiseRules) {
  const BackwardProblem problem{.num_rows = 1'000'000, .dim = 128, .num_indices = 32768};
  const auto bytes = [&](kernels::RowStep step) {
    BackwardStepPlan plan;
    EXPECT_TRUE(plan_backward_step(problem, step, &plan).ok());
    return plan.total_bytes;
  };
  const std::int64_t gradient = problem.num_indices * problem.dim * 4;
  EXPECT_LT(bytes({.rule = StepRule::kSgd}), gradient / 4);
  EXPECT_LT(bytes({.rule = StepRule::kAdam}), gradient / 4);
  EXPECT_GT(bytes({.rule = StepRule::kLamb}), gradient);
  EXPECT_GT(bytes({.target = {.counts_rows = true}, .rule = StepRule::kAdam}), gradient);
}

TEST(BackwardStepOfBadIndices, ReportsThem) {
  const Problem problem{.num_rows = 9, .dim = 4, .indices = {3, 9, 3}};
  for (const StepVariant& variant : {StepVariant{}, StepVariant{.rule = StepRule::kLamb}}) {
    StepTable<float> table(9, 4, variant);
    DeviceArray<float> grad(12);
    grad.fill(1);
    DeviceArray<IndexReport> report(1);
    report.fill({});
    const Status status = run_step(problem, table.step(), grad.data(), report.data());
    ASSERT_TRUE(status.ok()) << status.message();
    table.expect_stepped({{3, {2, 2, 2, 2}}});
    const IndexReport found = read_index_report(report.data());
    EXPECT_EQ(found.num_bad, 1);
    EXPECT_EQ(found.position, 1);
    EXPECT_EQ(found.index, 9);
  }
}

TEST(BackwardStepOfNothing, LaunchesNothing) {
  for (const auto& [num_rows, dim, num_indices] :
       {std::array<std::int64_t, 3>{0, 4, 3}, {3, 0, 3}, {3, 4, 0}}) {
    const BackwardProblem problem{.num_rows = num_rows, .dim = dim, .num_indices = num_indices};
    BackwardStepPlan plan;
    ASSERT_TRUE(plan_backward_step(problem, {}, &plan).ok());
    const auto counts =
        simt::emulated::measure([&] { EXPECT_TRUE(backward_step({}, plan, nullptr).ok()); });
    EXPECT_TRUE(counts.launches.empty());
  }
}

TEST(SegmentStep, RefusesRulesThatNeedWholeRows) {
  const SegmentReduceArgs args{.num_indices = 1, .num_rows = 1, .dim = 1};
  for (const kernels::RowStep& step :
       {kernels::RowStep{.rule = StepRule::kLamb}, {.target = {.counts_rows = true}}}) {
    EXPECT_EQ(segment_step(args, step, {}, nullptr).message(),
              "a segment reduce steps rows by an elementwise rule with one step number for all of "
              "them");
  }
  BackwardPolicy policy;
  EXPECT_EQ(select_backward_policy({.num_rows = 1, .dim = 1, .target = RowTarget::kStep},
                                   BackwardRequest::kAtomic, &policy)
                .message(),
            "the atomic algorithm takes no steps");
}

}  // namespace
}  // namespace rowlane::kernels
