// The catch-up of rows: equal to the steps that were missed, one after the other, in every
// schedule.
#include "cuda/row_catch_up.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "tests/kernels/schedules.h"
#include "tests/kernels/step_fixture.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using testing::CheckedSchedule;
using testing::kSchedules;
using testing::ReferenceRow;
using testing::Schedule;
using testing::StepTable;
using testing::StepVariant;

constexpr std::int64_t kNumRows = 12;

struct History {
  std::vector<StepNumbers> numbers;
  std::int64_t last_step;

  [[nodiscard]] StepNumbers at(std::int64_t step) const {
    StepNumbers found;
    for (const StepNumbers& line : numbers) {
      found = line.step <= step ? line : found;
    }
    found.step = step;
    return found;
  }
};

// The numbers of the variant; with `changes`, other rates from steps 3 and 20 on.
History history_of(StepVariant variant, std::int64_t last_step, bool changes) {
  variant.step = 1;
  History history{{variant.numbers()}, last_step};
  for (const std::int64_t begin : {3, 20}) {
    if (changes) {
      StepNumbers line = history.numbers.back();
      line.step = begin;
      line.lr *= begin == 3 ? 0.5 : 1.5;
      line.weight_decay *= 0.75;
      history.numbers.push_back(line);
    }
  }
  return history;
}

// A null list of indices stands for all rows.
Status catch_up(const RowStep& step, const History& history,
                const std::vector<std::int64_t>* indices, IndexReport* report = nullptr) {
  const DeviceArray<CatchUpLine> lines(catch_up_lines(step, history.numbers, history.last_step));
  const DeviceArray<std::int64_t> device_indices(indices == nullptr ? std::vector<std::int64_t>{}
                                                                    : *indices);
  RowCatchUpArgs args{.step = step,
                      .lines = lines.data(),
                      .num_lines = static_cast<std::int64_t>(lines.size()),
                      .last_step = history.last_step,
                      .indices = indices == nullptr ? nullptr : device_indices.data(),
                      .num_indices = static_cast<std::int64_t>(device_indices.size()),
                      .report = report};
  std::int64_t bytes = 0;
  ROWLANE_RETURN_IF_ERROR(row_catch_up_workspace_bytes(args, &bytes));
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(bytes));
  args.workspace = workspace.data();
  return row_catch_up(args, nullptr);
}

template <typename T>
void expect_near(double actual, double expected, double scale, double steps, bool is_random) {
  const double stored =
      sizeof(T) < 4 ? testing::kSpacing<T> * (std::abs(expected) * (is_random ? 1 : 0.5) + 1e-3)
                    : 0;
  ASSERT_NEAR(actual, expected, stored + (32 + steps) * testing::kSpacing<simt::Accum<T>> * scale);
}

template <typename T>
void expect_caught_up(std::int64_t dim, const StepVariant& variant, const History& history,
                      const std::vector<std::int64_t>* indices) {
  SCOPED_TRACE(::testing::Message()
               << "dim " << dim << ", " << sizeof(T) << " bytes, " << variant.label() << ", until "
               << history.last_step << ", " << history.numbers.size() << " lines");
  const StepTable<T> table(kNumRows, dim, variant);
  const auto before = table.read();
  const Status status = catch_up(table.step(), history, indices);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto after = table.read();
  const std::set<std::int64_t> named =
      indices == nullptr ? std::set<std::int64_t>{} : std::set(indices->begin(), indices->end());
  for (std::size_t row = 0; row < kNumRows; ++row) {
    SCOPED_TRACE(::testing::Message() << "row " << row);
    const std::int64_t from = before.row_steps[row];
    ReferenceRow expected = before.rows[row];
    const bool is_named = indices == nullptr || named.contains(static_cast<std::int64_t>(row));
    if (!is_named || from >= history.last_step) {
      ASSERT_EQ(after.row_steps[row], from);
      ASSERT_EQ(after.rows[row].w, expected.w);
      ASSERT_EQ(after.rows[row].states, expected.states);
      continue;
    }
    ASSERT_EQ(after.row_steps[row], history.last_step);
    for (std::int64_t step = from + 1; step <= history.last_step; ++step) {
      expected =
          reference_step(expected, std::vector<double>(static_cast<std::size_t>(dim)), variant.rule,
                         history.at(step), variant.has_momentum, variant.is_amsgrad);
    }
    const auto steps = static_cast<double>(history.last_step);
    for (std::size_t c = 0; c < static_cast<std::size_t>(dim); ++c) {
      expect_near<T>(after.rows[row].w[c], expected.w[c], 8, steps, variant.rounds_at_random);
      for (std::size_t s = 0; s < 3; ++s) {
        variant.states_are_float
            ? expect_near<simt::Accum<T>>(after.rows[row].states[s][c], expected.states[s][c], 8,
                                          steps, false)
            : expect_near<T>(after.rows[row].states[s][c], expected.states[s][c], 8, steps, false);
      }
    }
    if (::testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

const std::vector<StepVariant>& variants() {
  static const std::vector<StepVariant> all{
      {},
      {.weight_decay = 0.25},
      {.is_decoupled = true, .weight_decay = 0.0625},
      {.has_momentum = true},
      {.has_momentum = true, .states_are_float = true, .weight_decay = 0.25},
      {.has_momentum = true, .is_nesterov = true, .weight_decay = 0.25},
      {.has_momentum = true, .is_nesterov = true, .is_decoupled = true, .weight_decay = 0.0625},
      {.rule = StepRule::kAdagrad},
      {.rule = StepRule::kAdagrad, .weight_decay = 0.125},
      {.rule = StepRule::kAdagrad, .is_decoupled = true, .weight_decay = 0.125},
      {.rule = StepRule::kAdam},
      {.rule = StepRule::kAdam, .states_are_float = true, .weight_decay = 0.125},
      {.rule = StepRule::kAdam, .is_decoupled = true, .weight_decay = 0.125},
      {.rule = StepRule::kAdam, .is_amsgrad = true, .states_are_float = true},
  };
  return all;
}

const std::vector<std::int64_t> kIndices{4, 0, 4, 11, 3, 3, 3, 1, 0, kNumRows, -5};

class RowCatchUp : public ::testing::TestWithParam<Schedule> {};

TEST_P(RowCatchUp, EqualsTheMissedSteps) {
  const CheckedSchedule schedule(GetParam());
  const bool is_slow = GetParam().preempt_every > 0;
  for (const StepVariant& variant : variants()) {
    for (const std::int64_t last_step : {0, 1, 3, 4, 60}) {
      for (const bool changes : {false, true}) {
        const History history = history_of(variant, last_step, changes);
        expect_caught_up<float>(5, variant, history, &kIndices);
        if (!is_slow) {
          expect_caught_up<double>(36, variant, history, &kIndices);
          expect_caught_up<simt::bfloat16>(130, variant, history, nullptr);
          expect_caught_up<simt::half>(3, variant, history, nullptr);
        }
      }
    }
  }
}

TEST_P(RowCatchUp, TakesRowsThatAreOld) {
  const CheckedSchedule schedule(GetParam());
  for (const StepVariant& variant : variants()) {
    const History history = history_of(variant, 1500, /*changes=*/true);
    expect_caught_up<float>(8, variant, history, &kIndices);
    expect_caught_up<double>(3, variant, history, &kIndices);
  }
}

// Rows do not rest where a rate is small as long as a later one moves them.
TEST_P(RowCatchUp, MovesRowsWhenTheRateGrows) {
  const CheckedSchedule schedule(GetParam());
  const StepVariant variant{.rule = StepRule::kAdam};
  History history = history_of(variant, 30, /*changes=*/true);
  history.numbers.front().lr = 0;
  expect_caught_up<float>(5, variant, history, &kIndices);
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, RowCatchUp, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(RowCatchUpRounding, RoundsOnceByMasterOrAtRandom) {
  for (const StepVariant& variant : testing::rounding_variants()) {
    if (variant.rule != StepRule::kSparseAdam) {
      const History history = history_of(variant, 30, /*changes=*/false);
      expect_caught_up<simt::bfloat16>(36, variant, history, &kIndices);
      expect_caught_up<simt::half>(3, variant, history, nullptr);
    }
  }
}

TEST(RowCatchUpRaces, AreNone) {
  const simt::emulated::ScopedOptions options;
  options->check_global_races = true;
  for (const StepVariant& variant : variants()) {
    expect_caught_up<float>(70, variant, history_of(variant, 9, true), &kIndices);
  }
}

// Adam's moments are replayed only as long as they matter.
TEST(RowCatchUpCost, DoesNotGrowWithTheAgeOfARow) {
  const StepVariant variant{.rule = StepRule::kAdam};
  const auto last_state = [&](std::int64_t last_step) {
    const StepTable<float> table(kNumRows, 8, variant);
    EXPECT_TRUE(catch_up(table.step(), history_of(variant, last_step, false), nullptr).ok());
    return table.read().rows;
  };
  // A million times a million steps would not end.
  const auto rows = last_state(1'000'000'000'000);
  const auto early = last_state(2000);
  for (std::size_t row = 0; row < kNumRows; ++row) {
    for (std::size_t c = 0; c < 8; ++c) {
      EXPECT_NEAR(rows[row].w[c], early[row].w[c], 1e-6);
      EXPECT_EQ(rows[row].states[0][c], 0);
      EXPECT_EQ(rows[row].states[1][c], 0);
    }
  }
}

TEST(RowCatchUpOfBadIndices, ReportsThem) {
  const StepTable<float> table(kNumRows, 4, {});
  DeviceArray<IndexReport> report(1);
  report.fill({});
  ASSERT_TRUE(catch_up(table.step(), history_of({}, 9, false), &kIndices, report.data()).ok());
  EXPECT_EQ(read_index_report(report.data()).num_bad, 2);
}

TEST(RowCatchUpOfNothing, LaunchesNothing) {
  const RowCatchUpArgs args{.step = {.target = {.num_rows = 0, .dim = 4}}, .num_lines = 1};
  EXPECT_TRUE(simt::emulated::measure([&] {
                EXPECT_TRUE(row_catch_up(args, nullptr).ok());
              }).launches.empty());
  EXPECT_EQ(row_catch_up({.step = {.rule = StepRule::kLamb}}, nullptr).message(),
            "rows are brought up to date by SGD, Adagrad or Adam");
}

}  // namespace
}  // namespace rowlane::kernels
