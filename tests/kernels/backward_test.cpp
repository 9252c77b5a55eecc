// The backward's device code: every algorithm, pair format and element type, exactly, in every
// schedule.
#include "cuda/backward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
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

template <typename T>
constexpr ElemType kElemType = std::is_same_v<T, float>        ? ElemType::kFloat32
                               : std::is_same_v<T, double>     ? ElemType::kFloat64
                               : std::is_same_v<T, simt::half> ? ElemType::kFloat16
                                                               : ElemType::kBFloat16;

struct Problem {
  std::int64_t num_rows;
  std::int64_t dim;
  std::vector<std::int64_t> indices;
  std::int64_t padding_row = -1;
};

template <typename T>
std::vector<T> random_integers(std::size_t count) {
  std::mt19937 random(3);
  std::vector<T> values(count);
  for (auto& value : values) {
    value = simt::from_accum<T>(static_cast<simt::Accum<T>>(static_cast<int>(random() % 5) - 2));
  }
  return values;
}

bool is_summed(const Problem& problem, std::int64_t row) {
  return row >= 0 && row < problem.num_rows && row != problem.padding_row;
}

std::vector<std::int64_t> counts_of(const Problem& problem) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(problem.num_rows));
  for (const std::int64_t row : problem.indices) {
    if (is_summed(problem, row)) {
      ++counts[static_cast<std::size_t>(row)];
    }
  }
  return counts;
}

// Sums of small integers are exact in every type that is used here, in any order.
template <typename T>
std::vector<double> oracle(const Problem& problem, const std::vector<T>& grad_output,
                           std::int64_t row_stride) {
  std::vector<double> sums(static_cast<std::size_t>(problem.num_rows * problem.dim));
  for (std::size_t i = 0; i < problem.indices.size(); ++i) {
    const std::int64_t row = problem.indices[i];
    for (std::int64_t c = 0; is_summed(problem, row) && c < problem.dim; ++c) {
      sums[static_cast<std::size_t>(row * problem.dim + c)] += static_cast<double>(simt::to_accum(
          grad_output[static_cast<std::size_t>(static_cast<std::int64_t>(i) * row_stride + c)]));
    }
  }
  return sums;
}

struct Variant {
  BackwardRequest request = BackwardRequest::kSorted;
  RowTarget target = RowTarget::kDense;
  bool wide = false;  // forces 64-bit pairs, which no test could afford to need
  bool scale_by_count = false;
  bool is_expanded = false;  // all gradient rows are the same one
};

template <typename T>
void expect_summed(const Problem& problem, const Variant& variant) {
  const auto num_indices = static_cast<std::int64_t>(problem.indices.size());
  const BackwardProblem sizes{.num_rows = problem.num_rows,
                              .dim = problem.dim,
                              .num_indices = num_indices,
                              .padding_row = problem.padding_row,
                              .grad_row_stride = variant.is_expanded ? 0 : problem.dim,
                              .target = variant.target,
                              .scale_by_count = variant.scale_by_count,
                              .elem_type = kElemType<T>,
                              .index_type = IndexType::kInt64};
  const std::int64_t grad_rows = variant.is_expanded ? 1 : num_indices;
  const auto grad_output = random_integers<T>(static_cast<std::size_t>(grad_rows * problem.dim));
  const DeviceArray<T> device_grad(grad_output);
  const DeviceArray<std::int64_t> device_indices(problem.indices);
  const bool is_compact = variant.target == RowTarget::kCompact;
  const std::int64_t out_rows =
      is_compact ? std::min(problem.num_rows, num_indices) : problem.num_rows;
  DeviceArray<T> rows_out(static_cast<std::size_t>(out_rows * problem.dim));
  if (variant.target == RowTarget::kAdd) {
    rows_out.fill(simt::from_accum<T>(5));
  }
  const DeviceArray<std::int64_t> row_numbers(static_cast<std::size_t>(out_rows));
  const DeviceArray<std::int64_t> num_slots(1);

  BackwardPolicy policy;
  const Status selected = select_backward_policy(sizes, variant.request, &policy);
  ASSERT_TRUE(selected.ok()) << selected.message();
  if (variant.wide) {
    policy.pairs.wide = true;
    policy.segments =
        select_segment_policy(sizes.num_rows, sizes.dim, num_indices, sizeof(T), sizes.target, 0,
                              /*wide_pairs=*/true);
  }
  BackwardWorkspace plan;
  ASSERT_TRUE(plan_backward_workspace(sizes, policy, &plan).ok());
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
  const Status status = backward({.problem = sizes,
                                  .grad_output = device_grad.data(),
                                  .indices = device_indices.data(),
                                  .rows_out = rows_out.data(),
                                  .row_numbers = row_numbers.data(),
                                  .num_slots = num_slots.data(),
                                  .workspace = workspace.data()},
                                 policy, nullptr);
  ASSERT_TRUE(status.ok()) << status.message();

  const auto sums = oracle(problem, grad_output, sizes.grad_row_stride);
  const auto counts = counts_of(problem);
  const auto actual = rows_out.to_vector();
  std::int64_t slot = 0;
  for (std::int64_t row = 0; row < problem.num_rows; ++row) {
    const std::int64_t count = counts[static_cast<std::size_t>(row)];
    if (is_compact && count == 0) {
      continue;
    }
    const std::int64_t at = is_compact ? slot++ : row;
    if (is_compact) {
      ASSERT_EQ(row_numbers.to_vector()[static_cast<std::size_t>(at)], row);
    }
    for (std::int64_t c = 0; c < problem.dim; ++c) {
      auto expected =
          static_cast<simt::Accum<T>>(sums[static_cast<std::size_t>(row * problem.dim + c)]);
      expected /= static_cast<simt::Accum<T>>(
          variant.scale_by_count ? std::max<std::int64_t>(count, 1) : 1);
      expected += variant.target == RowTarget::kAdd ? 5 : 0;
      ASSERT_EQ(simt::to_accum(actual[static_cast<std::size_t>(at * problem.dim + c)]),
                simt::to_accum(simt::from_accum<T>(expected)))
          << "row " << row << " column " << c;
    }
  }
  if (is_compact) {
    ASSERT_EQ(num_slots.to_vector()[0], slot);
  }
}

std::vector<Problem> problems() {
  std::vector<Problem> result;
  std::mt19937 random(9);
  for (const std::int64_t dim : {1, 2, 3, 4, 7, 33, 130}) {
    const auto draw = [&](std::size_t count, std::int64_t num_rows) {
      std::vector<std::int64_t> indices(count);
      for (auto& index : indices) {
        index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(num_rows));
      }
      return indices;
    };
    result.push_back({50, dim, draw(1, 50)});
    result.push_back({50, dim, draw(700, 50)});
    result.push_back({1000, dim, draw(300, 1000)});
    result.push_back({3, dim, std::vector<std::int64_t>(1100, 1)});  // a run over several shares
    result.push_back({5, dim, std::vector<std::int64_t>(512, 4)});   // the last row
    result.push_back({4000, dim, {0, 3999, 3999}});                  // shares without an item
    auto half_hot = draw(900, 700);
    std::fill(half_hot.begin(), half_hot.begin() + 450, 350);
    result.push_back({700, dim, half_hot});
    result.push_back({64, dim, draw(600, 64), /*padding_row=*/17});
    auto with_bad = draw(520, 9);
    with_bad[0] = -1;
    with_bad[300] = 9;
    with_bad[519] = std::int64_t{1} << 50;
    result.push_back({9, dim, with_bad});
  }
  return result;
}

class Backward : public ::testing::TestWithParam<Schedule> {
 protected:
  template <typename... Types>
  static void expect_all_summed(const Variant& variant) {
    const CheckedSchedule schedule(GetParam());
    for (const Problem& problem : problems()) {
      SCOPED_TRACE(::testing::Message() << problem.num_rows << " rows, dim " << problem.dim << ", "
                                        << problem.indices.size() << " indices");
      (expect_summed<Types>(problem, variant), ...);
    }
  }
};

TEST_P(Backward, SortedSumsExactly) {
  expect_all_summed<float, double, simt::half, simt::bfloat16>({});
}

TEST_P(Backward, SortedSumsPairsOfSixtyFourBits) { expect_all_summed<float>({.wide = true}); }

TEST_P(Backward, SortedAddsToWhatIsThere) {
  expect_all_summed<float, simt::bfloat16>({.target = RowTarget::kAdd});
}

TEST_P(Backward, SortedMakesRowGradients) {
  expect_all_summed<float, simt::bfloat16>({.target = RowTarget::kCompact});
}

TEST_P(Backward, SortedScalesByCount) {
  expect_all_summed<float>({.scale_by_count = true});
  expect_all_summed<double>({.target = RowTarget::kCompact, .scale_by_count = true});
}

TEST_P(Backward, SortedTakesAnExpandedGradient) { expect_all_summed<float>({.is_expanded = true}); }

TEST_P(Backward, SmallSumsExactly) {
  expect_all_summed<float, double, simt::half, simt::bfloat16>(
      {.request = BackwardRequest::kSmall});
}

TEST_P(Backward, SmallScalesByCount) {
  expect_all_summed<float>({.request = BackwardRequest::kSmall, .scale_by_count = true});
}

TEST_P(Backward, SmallTakesAnExpandedGradient) {
  expect_all_summed<float>({.request = BackwardRequest::kSmall, .is_expanded = true});
}

TEST_P(Backward, AtomicSumsExactly) {
  expect_all_summed<float, double>({.request = BackwardRequest::kAtomic});
  expect_all_summed<float>({.request = BackwardRequest::kAtomic, .target = RowTarget::kAdd});
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, Backward, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

// Of floats that do not add exactly: the bits must not depend on the schedule.
TEST(SortedBackward, GivesTheSameBitsInEverySchedule) {
  const std::int64_t num_rows = 40;
  const std::int64_t dim = 37;
  std::mt19937 random(5);
  std::vector<std::int64_t> indices(3000);
  for (auto& index : indices) {
    index = random() % 3 == 0 ? 7 : static_cast<std::int64_t>(random() % num_rows);
  }
  std::vector<float> grad(indices.size() * dim);
  std::normal_distribution<float> normal;
  for (auto& value : grad) {
    value = normal(random);
  }
  std::vector<float> reference;
  for (const Schedule& schedule : kSchedules) {
    const CheckedSchedule checked(schedule);
    const DeviceArray<float> device_grad(grad);
    const DeviceArray<std::int64_t> device_indices(indices);
    const DeviceArray<float> grad_table(static_cast<std::size_t>(num_rows * dim));
    const BackwardProblem sizes{
        .num_rows = num_rows, .dim = dim, .num_indices = static_cast<std::int64_t>(indices.size())};
    BackwardPolicy policy;
    ASSERT_TRUE(select_backward_policy(sizes, BackwardRequest::kSorted, &policy).ok());
    BackwardWorkspace plan;
    ASSERT_TRUE(plan_backward_workspace(sizes, policy, &plan).ok());
    const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
    ASSERT_TRUE(backward({.problem = sizes,
                          .grad_output = device_grad.data(),
                          .indices = device_indices.data(),
                          .rows_out = grad_table.data(),
                          .workspace = workspace.data()},
                         policy, nullptr)
                    .ok());
    const auto result = grad_table.to_vector();
    reference = reference.empty() ? result : reference;
    EXPECT_EQ(result, reference) << schedule.name;
  }
}

}  // namespace
}  // namespace rowlane::kernels
