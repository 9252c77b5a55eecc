// Dense and row gradients beside sums in double: every way to compute them, bit for bit on
// integer-valued data.
#include "csrc/cpu/gradient.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <tuple>

#include "csrc/cpu/elements.h"
#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/row_gradient.h"
#include "tests/support/oracle.h"
#include "workloads/index_law.h"

namespace rowlane::cpu {
namespace {

using rowlane::testing::bit_equal;
using rowlane::testing::integers;

struct Case {
  const char* name;
  std::int64_t num_rows;
  std::int64_t num_indices;
  double hot_share;  // of the indices that name row 3
};

// Rows with several chunks of entries, shares that begin within one, entries of 32 and of 64 bits,
// comparison sorts, sums of short rows in place, private sums for few rows.
constexpr Case kCases[] = {{"ManyRowsFewIndices", 20000, 100, 0.0},
                           {"ManyRows", 20000, 5000, 0.1},
                           {"HotRow", 20000, 5000, 0.9},
                           {"WideEntries", 70000, 40000, 0.3},
                           {"FewRows", 50, 9000, 0.2},
                           {"AsManyRowsAsIndices", 3000, 3000, 0.0}};

TEST(Dtypes, WithoutLoopsAreErrorsNotTheNeighboursLoops) {
  EXPECT_THROW(dispatch_elem(at::kInt, []<typename ElemT>() {}), c10::Error);
  EXPECT_THROW(elem_loops(at::kComplexFloat), c10::Error);
  EXPECT_THROW(elem_step_loops(at::kLong), c10::Error);
  EXPECT_THROW(dispatch_index(torch::zeros({2}, at::kShort), []<typename IndexT>() {}), c10::Error);
}

class Gradient : public ::testing::TestWithParam<std::tuple<Case, at::ScalarType, std::int64_t>> {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    const auto& [c, dtype, dim] = GetParam();
    num_rows = c.num_rows;
    indices = torch::randint(num_rows, {c.num_indices}, torch::kLong);
    indices.masked_fill_(torch::rand({c.num_indices}) < c.hot_share, 3);
    op_indices = indices.to(dtype == at::kFloat || dtype == at::kHalf ? at::kLong : at::kInt);
    grad = integers({c.num_indices, dim}, dtype);
  }

  // In the type that sums have before they are rounded.
  [[nodiscard]] at::Tensor expected(std::int64_t padding_row, bool scales_by_count) const {
    const auto accum = grad.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    auto sums = torch::zeros({num_rows, grad.size(1)}, at::kDouble)
                    .index_add_(0, indices, grad.to(at::kDouble))
                    .to(accum);
    if (padding_row >= 0) {
      sums[padding_row].zero_();
    }
    if (scales_by_count) {
      sums = sums / torch::bincount(indices, {}, num_rows).clamp_min(1).unsqueeze(1).to(accum);
    }
    return sums.to(grad.scalar_type());
  }

  std::int64_t num_rows = 0;
  at::Tensor indices;
  at::Tensor op_indices;
  at::Tensor grad;
};

// As sums over the look-ups of a bag have it.
TEST_P(Gradient, OfNeighboursMayBeOneRow) {
  const std::int64_t num_bags = indices.numel() / 20;
  const at::Tensor shared =
      integers({num_bags, 1, 1, grad.size(1)}, grad.scalar_type()).expand({-1, 4, 5, -1});
  const at::Tensor contiguous = shared.contiguous();
  const at::Tensor bags = op_indices.view({num_bags, 4, 5});
  for (const bool scales : {false, true}) {
    SCOPED_TRACE(::testing::Message() << "scales " << scales);
    EXPECT_TRUE(bit_equal(dense_gradient("test", shared, bags, num_rows, {-1, scales}),
                          dense_gradient("test", contiguous, bags, num_rows, {-1, scales})));
    const auto [rows, sums] = row_gradient("test", shared, bags, num_rows, -1, scales);
    const auto [expected_rows, expected_sums] =
        row_gradient("test", contiguous, bags, num_rows, -1, scales);
    EXPECT_TRUE(bit_equal(rows, expected_rows));
    EXPECT_TRUE(bit_equal(sums, expected_sums));
  }
}

TEST_P(Gradient, DenseIsTheSumOfEachRow) {
  for (const std::int64_t padding_row : {-1, 3}) {
    for (const bool scales : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "padding " << padding_row << ", scales " << scales);
      EXPECT_TRUE(
          bit_equal(dense_gradient("test", grad, op_indices, num_rows, {padding_row, scales}),
                    expected(padding_row, scales)));
    }
  }
}

TEST_P(Gradient, RowsAreUniqueAscendingAndSummed) {
  for (const std::int64_t padding_row : {-1, 3}) {
    for (const bool scales : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "padding " << padding_row << ", scales " << scales);
      const auto [rows, sums] =
          row_gradient("test", grad, op_indices, num_rows, padding_row, scales);
      auto unique = std::get<0>(at::_unique(indices, /*sorted=*/true));
      unique = unique.masked_select(unique != padding_row);
      EXPECT_TRUE(bit_equal(rows, unique));
      EXPECT_TRUE(bit_equal(sums, expected(padding_row, scales).index_select(0, unique)));
    }
  }
}

TEST_P(Gradient, OneGradientForAllIsNotCopied) {
  const auto one = grad[0].expand_as(grad);
  const auto copies = one.contiguous();
  EXPECT_TRUE(bit_equal(dense_gradient("test", one, op_indices, num_rows, {}),
                        dense_gradient("test", copies, op_indices, num_rows, {})));
}

INSTANTIATE_TEST_SUITE_P(AllWays, Gradient,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(at::kFloat, at::kDouble, at::kHalf,
                                                              at::kBFloat16),
                                            ::testing::Values<std::int64_t>(1, 3, 33, 64)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  torch::toString(std::get<1>(info.param)) + "_dim" +
                                  std::to_string(std::get<2>(info.param));
                         });

TEST(RowGradient, IsEmptyWithoutIndices) {
  const auto none = torch::empty({0}, torch::kLong);
  const auto [rows, sums] = row_gradient("test", torch::empty({0, 5}), none, 10, -1, false);
  EXPECT_EQ(rows.sizes(), at::IntArrayRef({0}));
  EXPECT_EQ(sums.sizes(), at::IntArrayRef({0, 5}));
}

TEST(RowGradient, NamesABadIndex) {
  for (const std::int64_t num_rows : {5, 1 << 20}) {
    const auto indices = torch::zeros({2000}, torch::kLong);
    indices[1234] = num_rows;
    EXPECT_THROW(row_gradient("test", torch::ones({2000, 8}), indices, num_rows, -1, false),
                 c10::IndexError);
  }
}

// Each half, with subnormal numbers, infinities and NaN, beside one of another magnitude.
TEST(GradientOfHalf, RoundsEveryMagnitudeToTheNearest) {
  const at::Tensor halves = torch::arange(1 << 16).to(at::kShort).view(at::kHalf);
  for (const std::int64_t dim : {1, 64}) {
    const at::Tensor first = halves.view({-1, dim});
    const at::Tensor second = halves.roll(1234).view({-1, dim});
    const at::Tensor rows = torch::arange(first.size(0));
    const at::Tensor sums = dense_gradient("test", torch::cat({first, second}),
                                           torch::cat({rows, rows}), first.size(0), {});
    const at::Tensor expected = (first.to(at::kFloat) + second.to(at::kFloat)).to(at::kHalf);
    EXPECT_TRUE(torch::allclose(sums.to(at::kFloat), expected.to(at::kFloat), 0, 0,
                                /*equal_nan=*/true));
  }
}

// bfloat16 has 8 bits of mantissa; an ulp of x is 2^-7 of its power of two.
double ulps(const at::Tensor& sums, const at::Tensor& exact) {
  const at::Tensor ulp =
      torch::pow(2.0, torch::floor(torch::log2(exact.abs().clamp_min(1e-30))) - 7);
  return ((sums.to(torch::kDouble) - exact).abs() / ulp).max().item<double>();
}

TEST(GradientOfBfloat16, IsRoundedOnceAfterAMillionIndices) {
  constexpr std::int64_t kRows = 1000;
  constexpr std::int64_t kDim = 8;
  const at::Tensor indices =
      torch::tensor(bench::draw_indices(bench::zipf(1.0), kRows, 1'000'000), torch::kLong);
  torch::manual_seed(0);
  const at::Tensor grad_output = torch::randn({indices.numel(), kDim}).to(at::kBFloat16);
  const at::Tensor exact = torch::zeros({kRows, kDim}, torch::kDouble)
                               .index_add(0, indices, grad_output.to(torch::kDouble));
  const at::Tensor sums = dense_gradient("test", grad_output, indices, kRows, {});
  const double error = ulps(sums, exact);
  EXPECT_LE(error, 1);
  const at::Tensor torchs = at::embedding_dense_backward(grad_output, indices, kRows, -1, false);
  RecordProperty("torchs_ulps", std::to_string(ulps(torchs, exact)));
  EXPECT_GT(ulps(torchs, exact), 10 * error);
}

}  // namespace
}  // namespace rowlane::cpu
