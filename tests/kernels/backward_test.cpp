// The backward's device code: every algorithm, pair format and element type, exactly, in every
// schedule.
#include "cuda/backward.h"

#include <gtest/gtest.h>

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

// Sums of small integers are exact in every type that is used here, in any order.
template <typename T>
std::vector<double> oracle(const Problem& problem, const std::vector<T>& grad_output) {
  std::vector<double> sums(static_cast<std::size_t>(problem.num_rows * problem.dim));
  for (std::size_t i = 0; i < problem.indices.size(); ++i) {
    const std::int64_t row = problem.indices[i];
    if (row < 0 || row >= problem.num_rows || row == problem.padding_row) {
      continue;
    }
    for (std::int64_t c = 0; c < problem.dim; ++c) {
      sums[static_cast<std::size_t>(row * problem.dim + c)] += static_cast<double>(simt::to_accum(
          grad_output[i * static_cast<std::size_t>(problem.dim) + static_cast<std::size_t>(c)]));
    }
  }
  return sums;
}

// `wide` forces 64-bit pairs, which no test could afford to need.
template <typename T>
void expect_summed(const Problem& problem, BackwardRequest request, bool wide = false) {
  const auto grad_output =
      random_integers<T>(problem.indices.size() * static_cast<std::size_t>(problem.dim));
  const DeviceArray<T> device_grad(grad_output);
  const DeviceArray<std::int64_t> device_indices(problem.indices);
  const DeviceArray<T> grad_table(static_cast<std::size_t>(problem.num_rows * problem.dim));
  const BackwardProblem sizes{.num_rows = problem.num_rows,
                              .dim = problem.dim,
                              .num_indices = static_cast<std::int64_t>(problem.indices.size()),
                              .padding_row = problem.padding_row,
                              .elem_type = kElemType<T>,
                              .index_type = IndexType::kInt64};
  BackwardPolicy policy;
  ASSERT_TRUE(select_backward_policy(sizes, request, &policy).ok());
  policy.pairs.wide |= wide;
  BackwardWorkspace plan;
  ASSERT_TRUE(plan_backward_workspace(sizes, policy, &plan).ok());
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
  const Status status = backward({.problem = sizes,
                                  .grad_output = device_grad.data(),
                                  .indices = device_indices.data(),
                                  .grad_table = grad_table.data(),
                                  .workspace = workspace.data()},
                                 policy, nullptr);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto expected = oracle(problem, grad_output);
  const auto actual = grad_table.to_vector();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(static_cast<double>(simt::to_accum(actual[i])), expected[i])
        << "row " << i / static_cast<std::size_t>(problem.dim) << " column "
        << i % static_cast<std::size_t>(problem.dim);
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
    result.push_back({3, dim, std::vector<std::int64_t>(1100, 1)});  // a run over 5 tiles
    result.push_back({5, dim, std::vector<std::int64_t>(512, 4)});   // ends at a tile's edge
    result.push_back({64, dim, draw(600, 64), /*padding_row=*/17});
    auto with_bad = draw(520, 9);
    with_bad[0] = -1;
    with_bad[300] = 9;
    with_bad[519] = std::int64_t{1} << 50;
    result.push_back({9, dim, with_bad});
  }
  return result;
}

class Backward : public ::testing::TestWithParam<Schedule> {};

TEST_P(Backward, SortedSumsExactly) {
  const CheckedSchedule schedule(GetParam());
  for (const Problem& problem : problems()) {
    SCOPED_TRACE(::testing::Message() << problem.num_rows << " rows, dim " << problem.dim << ", "
                                      << problem.indices.size() << " indices");
    expect_summed<float>(problem, BackwardRequest::kSorted);
    expect_summed<double>(problem, BackwardRequest::kSorted);
    expect_summed<simt::half>(problem, BackwardRequest::kSorted);
    expect_summed<simt::bfloat16>(problem, BackwardRequest::kSorted);
    expect_summed<float>(problem, BackwardRequest::kSorted, /*wide=*/true);
  }
}

TEST_P(Backward, AtomicSumsExactly) {
  const CheckedSchedule schedule(GetParam());
  for (const Problem& problem : problems()) {
    SCOPED_TRACE(::testing::Message() << problem.num_rows << " rows, dim " << problem.dim << ", "
                                      << problem.indices.size() << " indices");
    expect_summed<float>(problem, BackwardRequest::kAtomic);
    expect_summed<double>(problem, BackwardRequest::kAtomic);
  }
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
    ASSERT_TRUE(select_backward_policy(sizes, BackwardRequest::kAuto, &policy).ok());
    BackwardWorkspace plan;
    ASSERT_TRUE(plan_backward_workspace(sizes, policy, &plan).ok());
    const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
    ASSERT_TRUE(backward({.problem = sizes,
                          .grad_output = device_grad.data(),
                          .indices = device_indices.data(),
                          .grad_table = grad_table.data(),
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
