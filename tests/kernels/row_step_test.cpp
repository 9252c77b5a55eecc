// The step of rows with summed gradients: every rule, type, width and alignment, in every schedule.
#include "cuda/row_step.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/kernels/schedules.h"
#include "tests/kernels/sparse_array.h"
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

constexpr std::int64_t kNumRows = 40;

// Steps `rows` by integers; the last `unused` of them lie behind the number on the device.
template <typename T>
void expect_stepped(std::int64_t dim, const StepVariant& variant,
                    const std::vector<std::int64_t>& rows, std::int64_t unused = 0) {
  SCOPED_TRACE(::testing::Message()
               << "dim " << dim << ", " << sizeof(T) << " bytes, " << variant.label());
  StepTable<T> table(kNumRows, dim, variant);
  const auto values = testing::random_integers<T>(rows.size() * static_cast<std::size_t>(dim));
  const DeviceArray<T> device_values(values);
  const DeviceArray<std::int64_t> device_rows(rows);
  const auto num_used = static_cast<std::int64_t>(rows.size()) - unused;
  DeviceArray<std::int64_t> num_slots(1);
  num_slots.fill(num_used);
  const Status status = row_step({.step = table.step(),
                                  .rows = device_rows.data(),
                                  .values = device_values.data(),
                                  .max_slots = static_cast<std::int64_t>(rows.size()),
                                  .num_slots = unused > 0 ? num_slots.data() : nullptr},
                                 nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  RowSums sums;
  for (std::int64_t slot = 0; slot < num_used; ++slot) {
    auto& sum = sums[rows[static_cast<std::size_t>(slot)]];
    for (std::int64_t c = 0; c < dim; ++c) {
      sum.push_back(
          static_cast<double>(simt::to_accum(values[static_cast<std::size_t>(slot * dim + c)])));
    }
  }
  table.expect_stepped(sums);
}

const std::vector<std::int64_t> kRows{7, 0, 39, 12, 3, 21};

class RowStep : public ::testing::TestWithParam<Schedule> {
 protected:
  [[nodiscard]] static std::vector<std::int64_t> dims() {
    return GetParam().preempt_every > 0
               ? std::vector<std::int64_t>{3, 36}
               : std::vector<std::int64_t>{1, 2, 3, 4, 7, 8, 31, 32, 33, 64, 100, 128, 257};
  }
};

template <typename T>
void expect_all_stepped(std::int64_t dim) {
  for (const auto& variants : {testing::elementwise_variants(), testing::row_wise_variants()}) {
    for (const StepVariant& variant : variants) {
      expect_stepped<T>(dim, variant, kRows);
    }
  }
}

TEST_P(RowStep, KnowsEveryRuleAtEveryWidth) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t dim : dims()) {
    expect_all_stepped<float>(dim);
    expect_all_stepped<simt::bfloat16>(dim);
  }
  expect_all_stepped<double>(6);
  expect_all_stepped<simt::half>(33);
  expect_all_stepped<simt::half>(64);
}

TEST_P(RowStep, TakesEveryAlignment) {
  const CheckedSchedule schedule(GetParam());
  for (const std::int64_t shift : {1, 2, 4}) {
    for (StepVariant variant : {StepVariant{.rule = StepRule::kAdam},
                                StepVariant{.rule = StepRule::kLamb, .states_are_float = true}}) {
      variant.shift = shift;
      expect_stepped<float>(32, variant, kRows);
      expect_stepped<double>(32, variant, kRows);
      expect_stepped<simt::bfloat16>(32, variant, kRows);
    }
  }
}

TEST_P(RowStep, RoundsTablesOfSixteenBitsOnce) {
  const CheckedSchedule schedule(GetParam());
  for (const StepVariant& variant : testing::rounding_variants()) {
    expect_stepped<simt::bfloat16>(36, variant, kRows);
    expect_stepped<simt::half>(3, variant, kRows);
  }
}

TEST_P(RowStep, TakesTheNumberOfRowsFromTheDevice) {
  const CheckedSchedule schedule(GetParam());
  expect_stepped<float>(5, {.rule = StepRule::kAdam}, kRows, /*unused=*/2);
  expect_stepped<float>(130, {.rule = StepRule::kLamb, .counts_rows = true}, kRows, /*unused=*/5);
}

TEST_P(RowStep, CountsTheStepsOfEachRow) {
  const CheckedSchedule schedule(GetParam());
  for (const StepRule rule : {StepRule::kAdam, StepRule::kSparseAdam, StepRule::kSgd}) {
    for (const std::int64_t dim : {2, 64}) {
      const StepVariant variant{
          .rule = rule, .has_momentum = rule == StepRule::kSgd, .counts_rows = true};
      expect_stepped<float>(dim, variant, kRows);
      expect_stepped<double>(dim, variant, kRows);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, RowStep, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(RowStepRaces, AreNone) {
  const simt::emulated::ScopedOptions options;
  options->check_global_races = true;
  options->check_shared_races = true;
  for (const std::int64_t dim : {1, 3, 40}) {
    expect_all_stepped<float>(dim);
    expect_all_stepped<simt::bfloat16>(dim);
  }
}

// Sums over a row that are not exact.
TEST(RowStepBits, AreTheSameInEverySchedule) {
  for (const StepRule rule : {StepRule::kRowWiseAdagrad, StepRule::kLamb}) {
    constexpr std::int64_t kDim = 300;
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> values(kRows.size() * kDim);
    for (float& value : values) {
      value = normal(random);
    }
    const DeviceArray<float> device_values(values);
    const DeviceArray<std::int64_t> device_rows(kRows);
    const auto run = [&] {
      const StepTable<float> table(kNumRows, kDim, {.rule = rule});
      EXPECT_TRUE(row_step({.step = table.step(),
                            .rows = device_rows.data(),
                            .values = device_values.data(),
                            .max_slots = static_cast<std::int64_t>(kRows.size())},
                           nullptr)
                      .ok());
      return table.read().bytes;
    };
    const auto reference = run();
    for (const Schedule& schedule : kSchedules) {
      const CheckedSchedule checked(schedule);
      EXPECT_EQ(run(), reference) << schedule.name;
    }
  }
}

TEST(RowStepOfBadRows, SkipsAndReportsThem) {
  StepTable<float> table(kNumRows, 4, {});
  const DeviceArray<std::int64_t> rows(std::vector<std::int64_t>{3, kNumRows, -1, 5});
  DeviceArray<float> values(16);
  values.fill(1);
  DeviceArray<IndexReport> report(1);
  report.fill({});
  const Status status = row_step({.step = table.step(),
                                  .rows = rows.data(),
                                  .values = values.data(),
                                  .max_slots = 4,
                                  .report = report.data()},
                                 nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  table.expect_stepped({{3, {1, 1, 1, 1}}, {5, {1, 1, 1, 1}}});
  const IndexReport found = read_index_report(report.data());
  EXPECT_EQ(found.num_bad, 2);
  EXPECT_EQ(found.num_rows, kNumRows);
  EXPECT_TRUE((found.position == 1 && found.index == kNumRows) ||
              (found.position == 2 && found.index == -1));
}

// The step would be divided by the norm of the direction.
TEST(RowStepByLamb, LeavesARowWhoseDirectionIsZero) {
  DeviceArray<float> weight(4);
  weight.fill(2);
  DeviceArray<float> zeros(12);
  zeros.fill(0);
  DeviceArray<std::int64_t> rows(1);
  rows.fill(0);
  const Status status =
      row_step({.step = {.target = {.weight = weight.data(),
                                    .num_rows = 1,
                                    .dim = 4,
                                    .states = {zeros.data(), zeros.data() + 4}},
                         .rule = StepRule::kLamb,
                         .numbers = {.lr = 0.5, .beta1 = 0.5, .beta2 = 0.5, .eps = 1e-3}},
                .rows = rows.data(),
                .values = zeros.data() + 8,
                .max_slots = 1},
               nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(weight.to_vector(), std::vector<float>(4, 2));
}

// The table alone would allow wide accesses.
TEST(RowStepOfNarrowStates, TakesTheirAlignment) {
  DeviceArray<float> momentum(9);
  DeviceArray<float> master(9);
  DeviceArray<simt::bfloat16> weight(8);
  DeviceArray<simt::bfloat16> values(8);
  DeviceArray<std::int64_t> rows(1);
  rows.fill(0);
  values.fill(simt::from_accum<simt::bfloat16>(2));
  for (const std::int64_t shift_of_momentum : {0, 1}) {
    weight.fill(simt::from_accum<simt::bfloat16>(0));
    momentum.fill(0);
    master.fill(0);
    float* const moved_momentum = momentum.data() + shift_of_momentum;
    float* const moved_master = master.data() + 1 - shift_of_momentum;
    const Status status = row_step({.step = {.target = {.weight = weight.data(),
                                                        .num_rows = 1,
                                                        .dim = 8,
                                                        .elem_type = ElemType::kBFloat16,
                                                        .states = {moved_momentum},
                                                        .states_are_float = true,
                                                        .master = moved_master},
                                             .rule = StepRule::kSgd,
                                             .numbers = {.lr = 0.5, .beta1 = 0.5, .step = 2}},
                                    .rows = rows.data(),
                                    .values = values.data(),
                                    .max_slots = 1},
                                   nullptr);
    ASSERT_TRUE(status.ok()) << status.message();
    for (std::int64_t c = 0; c < 8; ++c) {
      EXPECT_EQ(simt::to_accum(weight.data()[c]), -1);
      EXPECT_EQ(moved_momentum[c], 2);
      EXPECT_EQ(moved_master[c], -1);
    }
  }
}

TEST(RowStepOfNothing, LaunchesNothing) {
  const auto launches = [](const RowStepArgs& args) {
    return simt::emulated::measure([&] { EXPECT_TRUE(row_step(args, nullptr).ok()); })
        .launches.size();
  };
  EXPECT_EQ(launches({.step = {.target = {.num_rows = 3, .dim = 8}}, .max_slots = 0}), 0U);
  EXPECT_EQ(launches({.step = {.target = {.num_rows = 3, .dim = 0}}, .max_slots = 2}), 0U);
}

TEST(RowStepOfLargeTables, ReachesBeyondTwoToTheThirtyOneElements) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer would back this much address space by memory";
#else
  constexpr std::int64_t kDim = 1024;
  constexpr std::int64_t kManyRows = (std::int64_t{1} << 21) + 8;  // times dim is above 2^31
  const simt::SparseArray weight(kManyRows * kDim * 4);
  const simt::SparseArray momentum(kManyRows * kDim * 4);
  const DeviceArray<std::int64_t> rows(std::vector<std::int64_t>{kManyRows - 1, 5});
  DeviceArray<float> values(2 * kDim);
  values.fill(2);
  const Status status = row_step({.step = {.target = {.weight = weight.data<float>(),
                                                      .num_rows = kManyRows,
                                                      .dim = kDim,
                                                      .states = {momentum.data<float>()}},
                                           .rule = StepRule::kSgd,
                                           .numbers = {.lr = 0.5, .beta1 = 0.5, .step = 2}},
                                  .rows = rows.data(),
                                  .values = values.data(),
                                  .max_slots = 2},
                                 nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  for (const std::int64_t row : {std::int64_t{5}, kManyRows - 1}) {
    for (const std::int64_t c : {std::int64_t{0}, kDim - 1}) {
      EXPECT_EQ(weight.data<float>()[row * kDim + c], -1);
      EXPECT_EQ(momentum.data<float>()[row * kDim + c], 2);
    }
  }
  EXPECT_EQ(weight.data<float>()[6 * kDim], 0);
#endif
}

}  // namespace
}  // namespace rowlane::kernels
