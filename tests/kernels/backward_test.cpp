// The backward's device code: every algorithm, pair format and element type, exactly, in every
// schedule.
#include "cuda/backward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda/simt/simt.cuh"
#include "tests/kernels/device_array.h"
#include "tests/kernels/schedules.h"
#include "tests/kernels/sparse_array.h"

namespace rowlane::kernels {
namespace {

using simt::DeviceArray;
using simt::SparseArray;
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
  bool has_longest_shares = false;
};

// As for so many indices that shares are as long as they get: shared memory has to hold them.
SegmentPolicy longest_shares(const BackwardProblem& problem, bool wide) {
  SegmentPolicy policy = select_segment_policy(
      problem.num_rows, problem.dim, /*num_indices=*/std::int64_t{1} << 31,
      elem_bytes(problem.elem_type), problem.target, /*address_bits=*/0, wide);
  policy.shares = ceil_div(
      policy.item_weight * problem.num_indices + policy.row_weight * (problem.num_rows + 1),
      policy.share);
  return policy;
}

// Runs a backward in a workspace of its own.
Status run_backward(BackwardArgs args, const BackwardPolicy& policy) {
  BackwardWorkspace plan;
  ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(args.problem, policy, &plan));
  const DeviceArray<std::uint8_t> workspace(static_cast<std::size_t>(plan.total_bytes));
  args.workspace = workspace.data();
  return backward(args, policy, nullptr);
}

template <typename T>
void expect_summed(const Problem& problem, const Variant& variant) {
  const auto num_indices = static_cast<std::int64_t>(problem.indices.size());
  const std::int64_t grad_rows = variant.is_expanded ? 1 : num_indices;
  const auto grad_output = random_integers<T>(static_cast<std::size_t>(grad_rows * problem.dim));
  const DeviceArray<T> device_grad(grad_output);
  const BackwardProblem sizes{.num_rows = problem.num_rows,
                              .dim = problem.dim,
                              .num_indices = num_indices,
                              .padding_row = problem.padding_row,
                              .source = {.grad_output = device_grad.data(),
                                         .row_stride = variant.is_expanded ? 0 : problem.dim},
                              .target = variant.target,
                              .scale_by_count = variant.scale_by_count,
                              .elem_type = kElemType<T>,
                              .index_type = IndexType::kInt64};
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
    policy.pairs.method = SortMethod::kLibrary;
    policy.segments =
        select_segment_policy(sizes.num_rows, sizes.dim, num_indices, sizeof(T), sizes.target, 0,
                              /*wide_pairs=*/true);
  }
  if (variant.has_longest_shares) {
    policy.segments = longest_shares(sizes, variant.wide);
  }
  const Status status = run_backward({.problem = sizes,
                                      .indices = device_indices.data(),
                                      .rows_out = rows_out.data(),
                                      .row_numbers = row_numbers.data(),
                                      .num_slots = num_slots.data()},
                                     policy);
  ASSERT_TRUE(status.ok()) << status.message();

  const auto sums = oracle(problem, grad_output, sizes.source.row_stride);
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

// Narrow rows that are gathered in shared memory, rows of whole and of odd accesses, and rows that
// take more than one block.
const std::vector<std::int64_t> kAllDims{1, 3, 8, 33, 130};
const std::vector<std::int64_t> kFewDims{3, 36};

std::vector<Problem> problems(const std::vector<std::int64_t>& dims) {
  std::vector<Problem> result;
  std::mt19937 random(9);
  for (const std::int64_t dim : dims) {
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
    result.push_back({1500, dim, {0, 1499, 1499}});                  // shares without an item
    auto half_hot = draw(900, 700);
    std::fill(half_hot.begin(), half_hot.begin() + 450, 350);
    result.push_back({700, dim, half_hot});
    result.push_back({64, dim, draw(600, 64), /*padding_row=*/17});
    auto with_bad = draw(520, 9);
    with_bad[0] = -1;
    with_bad[300] = 9;
    with_bad[519] = std::int64_t{1} << 50;
    result.push_back({9, dim, with_bad});
    std::fill(with_bad.begin() + 100, with_bad.begin() + 140, -7);
    result.push_back({9, dim, with_bad});  // the last share may begin in what is skipped
  }
  return result;
}

class Backward : public ::testing::TestWithParam<Schedule> {
 protected:
  template <typename... Types>
  static void expect_all_summed(const std::vector<std::int64_t>& dims, const Variant& variant) {
    const CheckedSchedule schedule(GetParam());
    // Schedules that switch between threads all the time are slow.
    for (const Problem& problem : problems(GetParam().preempt_every > 0 ? kFewDims : dims)) {
      SCOPED_TRACE(::testing::Message() << problem.num_rows << " rows, dim " << problem.dim << ", "
                                        << problem.indices.size() << " indices");
      (expect_summed<Types>(problem, variant), ...);
    }
  }
};

TEST_P(Backward, SortedSumsExactly) {
  expect_all_summed<float, simt::bfloat16>(kAllDims, {});
  expect_all_summed<double, simt::half>(kFewDims, {});
}

TEST_P(Backward, SortedSumsPairsOfSixtyFourBits) {
  expect_all_summed<float>(kFewDims, {.wide = true});
}

TEST_P(Backward, SortedAddsToWhatIsThere) {
  expect_all_summed<float, simt::bfloat16>(kFewDims, {.target = RowTarget::kAdd});
}

TEST_P(Backward, SortedMakesRowGradients) {
  expect_all_summed<float>(kAllDims, {.target = RowTarget::kCompact});
  expect_all_summed<simt::bfloat16>(kFewDims, {.target = RowTarget::kCompact});
}

TEST_P(Backward, SortedScalesByCount) {
  expect_all_summed<float>(kFewDims, {.scale_by_count = true});
  expect_all_summed<double>(kFewDims, {.target = RowTarget::kCompact, .scale_by_count = true});
}

TEST_P(Backward, SmallSumsExactly) {
  expect_all_summed<float>(kAllDims, {.request = BackwardRequest::kSmall});
  expect_all_summed<double, simt::bfloat16>(kFewDims, {.request = BackwardRequest::kSmall});
  expect_all_summed<float>(kFewDims, {.request = BackwardRequest::kSmall, .scale_by_count = true});
}

TEST_P(Backward, TakesAnExpandedGradient) {
  for (const auto request :
       {BackwardRequest::kSorted, BackwardRequest::kSmall, BackwardRequest::kAtomic}) {
    expect_all_summed<float>(kFewDims, {.request = request, .is_expanded = true});
  }
}

TEST_P(Backward, AtomicSumsExactly) {
  expect_all_summed<float, double>(kAllDims, {.request = BackwardRequest::kAtomic});
  expect_all_summed<float>(kFewDims,
                           {.request = BackwardRequest::kAtomic, .target = RowTarget::kAdd});
}

INSTANTIATE_TEST_SUITE_P(AllSchedules, Backward, ::testing::ValuesIn(kSchedules),
                         [](const auto& info) { return info.param.name; });

TEST(SortedBackward, HasRoomForTheLongestShares) {
  for (const std::int64_t dim : {1, 3, 8}) {
    Problem problem{2500, dim, std::vector<std::int64_t>(5000)};
    std::iota(problem.indices.begin(), problem.indices.begin() + 2500, 0);
    for (const auto target : {RowTarget::kDense, RowTarget::kAdd, RowTarget::kCompact}) {
      for (const bool wide : {false, true}) {
        SCOPED_TRACE(::testing::Message() << "dim " << dim << ", target "
                                          << static_cast<int>(target) << ", wide " << wide);
        const Variant variant{.target = target, .wide = wide, .has_longest_shares = true};
        expect_summed<float>(problem, variant);
        expect_summed<double>(problem, variant);
        expect_summed<simt::bfloat16>(problem, variant);
      }
    }
  }
}

// Runs a backward of float or half-precision data to a dense gradient.
template <typename T>
std::vector<T> gradient(const Problem& problem, BackwardRequest request,
                        const std::vector<T>& grad) {
  const DeviceArray<T> device_grad(grad);
  const DeviceArray<std::int64_t> device_indices(problem.indices);
  const DeviceArray<T> grad_table(static_cast<std::size_t>(problem.num_rows * problem.dim));
  const BackwardProblem sizes{.num_rows = problem.num_rows,
                              .dim = problem.dim,
                              .num_indices = static_cast<std::int64_t>(problem.indices.size()),
                              .source = {.grad_output = device_grad.data()},
                              .elem_type = kElemType<T>};
  BackwardPolicy policy;
  EXPECT_TRUE(select_backward_policy(sizes, request, &policy).ok());
  const Status status = run_backward(
      {.problem = sizes, .indices = device_indices.data(), .rows_out = grad_table.data()}, policy);
  EXPECT_TRUE(status.ok()) << status.message();
  return grad_table.to_vector();
}

// Of floats that do not add exactly: the bits must not depend on the schedule, nor on the device.
void expect_same_bits(BackwardRequest request, std::size_t num_indices) {
  std::mt19937 random(5);
  Problem problem{.num_rows = 40, .dim = 37, .indices = std::vector<std::int64_t>(num_indices)};
  for (auto& index : problem.indices) {
    index = random() % 3 == 0 ? 7 : static_cast<std::int64_t>(random() % 40);
  }
  std::vector<float> grad(num_indices * 37);
  std::normal_distribution<float> normal;
  for (auto& value : grad) {
    value = normal(random);
  }
  const std::vector<float> reference = gradient(problem, request, grad);
  for (const Schedule& schedule : kSchedules) {
    const CheckedSchedule checked(schedule);
    EXPECT_EQ(gradient(problem, request, grad), reference) << schedule.name;
  }
  for (std::uint64_t seed = 10; seed < 24; ++seed) {
    const simt::emulated::ScopedOptions options;
    options->order = simt::emulated::Order::kShuffled;
    options->seed = seed;
    options->host_threads = 1 + static_cast<int>(seed % 2);
    options->device = simt::emulated::find_device(seed % 3 == 0 ? "l4" : "b200");
    EXPECT_EQ(gradient(problem, request, grad), reference) << "seed " << seed;
  }
}

TEST(SortedBackward, GivesTheSameBitsInTwentySchedules) {
  expect_same_bits(BackwardRequest::kSorted, 3000);
}

TEST(SmallBackward, GivesTheSameBitsInTwentySchedules) {
  expect_same_bits(BackwardRequest::kSmall, 1000);
}

// A million gradients of one row: sums in pieces, so the error doesn't grow with their number.
TEST(SortedBackward, SumsAMillionRepeatsToTwentyBits) {
  constexpr std::size_t kRepeats = 1'000'000;
  const Problem problem{.num_rows = 3, .dim = 1, .indices = std::vector<std::int64_t>(kRepeats, 1)};
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> grad(kRepeats);
  double exact = 0;
  float one_by_one = 0;
  for (auto& value : grad) {
    value = simt::to_accum(simt::from_accum<simt::bfloat16>(uniform(random)));
    exact += static_cast<double>(value);
    one_by_one += value;
  }
  const auto sum = static_cast<double>(gradient(problem, BackwardRequest::kSorted, grad)[1]);
  EXPECT_LE(std::abs(sum - exact) / exact, std::ldexp(1.0, -20));
  RecordProperty("relative_error", std::to_string(std::abs(sum - exact) / exact));
  // What adding them in a single row would give.
  EXPECT_GT(std::abs(static_cast<double>(one_by_one) - exact) / exact, std::ldexp(1.0, -20));

  std::vector<simt::bfloat16> short_grad(kRepeats);
  std::transform(grad.begin(), grad.end(), short_grad.begin(),
                 [](float value) { return simt::from_accum<simt::bfloat16>(value); });
  EXPECT_EQ(simt::to_accum(gradient(problem, BackwardRequest::kSorted, short_grad)[1]),
            simt::to_accum(simt::from_accum<simt::bfloat16>(static_cast<float>(exact))));
}

TEST(SortedBackward, ReachesBeyondTwoToTheThirtyOneElements) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer would back this much address space by memory";
#else
  constexpr std::int64_t kDim = 1024;
  constexpr std::int64_t kRows = (std::int64_t{1} << 21) + 8;  // times dim is above 2^31
  constexpr std::int64_t kStride = (std::int64_t{1} << 30) + 64;
  const SparseArray table(kRows * kDim * 2);
  const SparseArray grad(2 * kStride * 2 + kDim * 2);
  const std::vector<std::int64_t> indices{kRows - 1, 5, kRows - 1};
  const DeviceArray<std::int64_t> device_indices(indices);
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t c = 0; c < kDim; ++c) {
      grad.data<simt::bfloat16>()[i * kStride + c] =
          simt::from_accum<simt::bfloat16>(static_cast<float>(i + 1));
    }
  }
  const BackwardProblem problem{.num_rows = kRows,
                                .dim = kDim,
                                .num_indices = 3,
                                .source = {.grad_output = grad.data<void>(), .row_stride = kStride},
                                .target = RowTarget::kAdd,
                                .elem_type = ElemType::kBFloat16};
  BackwardPolicy policy;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kSorted, &policy).ok());
  const Status status = run_backward(
      {.problem = problem, .indices = device_indices.data(), .rows_out = table.data<void>()},
      policy);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto* const sums = table.data<simt::bfloat16>();
  for (const std::int64_t c : {std::int64_t{0}, kDim - 1}) {
    EXPECT_EQ(simt::to_accum(sums[(kRows - 1) * kDim + c]), 4);
    EXPECT_EQ(simt::to_accum(sums[5 * kDim + c]), 2);
    EXPECT_EQ(simt::to_accum(sums[6 * kDim + c]), 0);
  }
#endif
}

}  // namespace
}  // namespace rowlane::kernels
