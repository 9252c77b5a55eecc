// Forward and backward over devices x dtypes x index types x dims x index sets, bit for bit on
// integer-valued data.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <chrono>
#include <string>
#include <tuple>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/index_sets.h"
#include "tests/support/oracle.h"
#include "tests/support/parameters.h"

namespace rowlane::testing {
namespace {

constexpr std::int64_t kNumRows = 61;
constexpr std::int64_t kMaxIndices = 600;

std::vector<BackwardAlgorithm> algorithms(torch::DeviceType device, torch::ScalarType dtype) {
  std::vector<BackwardAlgorithm> result{BackwardAlgorithm::kAuto, BackwardAlgorithm::kSorted};
  if (runs_device_code(device)) {
    result.push_back(BackwardAlgorithm::kSmall);
  }
  if (runs_device_code(device) && (dtype == torch::kFloat || dtype == torch::kDouble)) {
    result.push_back(BackwardAlgorithm::kAtomic);
  }
  return result;
}

class Matrix : public ::testing::TestWithParam<Param> {};

TEST_P(Matrix, CopiesRowsAndSumsGradientsExactly) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  for (const IndexSet set : kAllIndexSets) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices);
    const auto table = integers({kNumRows, dim}, dtype);
    const auto grad_output = integers({indices.numel(), dim}, dtype);
    const auto expected = oracle_backward(grad_output, indices, kNumRows).to(dtype);
    const auto device_indices = indices.to(device, index_dtype);
    for (const BackwardAlgorithm algorithm : algorithms(device, dtype)) {
      SCOPED_TRACE(rowlane::to_string(algorithm));
      const auto weight = table.to(device).clone().requires_grad_();
      const auto rows =
          rowlane::embedding(weight, device_indices, EmbeddingFuncOptions().algorithm(algorithm));
      EXPECT_TRUE(bit_equal(rows, table.index_select(0, indices)));
      const auto grad = torch::autograd::grad({rows}, {weight}, {grad_output.to(device)})[0];
      EXPECT_TRUE(bit_equal(grad, expected));
    }
  }
}

TEST_P(Matrix, SumsRandomGradientsWithinRounding) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  for (const IndexSet set : {IndexSet::kAllEqual, IndexSet::kZipf, IndexSet::kRunAcrossTileEdge}) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices).to(device, index_dtype);
    const auto grad_output = torch::randn({indices.numel(), dim}).to(device, dtype);
    for (const BackwardAlgorithm algorithm : algorithms(device, dtype)) {
      SCOPED_TRACE(rowlane::to_string(algorithm));
      const auto weight =
          torch::zeros({kNumRows, dim}, torch::dtype(dtype).device(device)).requires_grad_();
      const auto rows =
          rowlane::embedding(weight, indices, EmbeddingFuncOptions().algorithm(algorithm));
      const auto grad = torch::autograd::grad({rows}, {weight}, {grad_output})[0];
      EXPECT_TRUE(within_rounding(grad, grad_output, indices));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllSizes, Matrix,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::Values(torch::kFloat, torch::kDouble,
                                                              torch::kHalf, torch::kBFloat16),
                                            ::testing::Values(torch::kInt, torch::kLong),
                                            ::testing::Values<std::int64_t>(1, 2, 3, 4, 7, 8, 31,
                                                                            32, 33, 64, 100, 128,
                                                                            257, 1024)),
                         param_name);

class ForwardOfAnyDtype
    : public ::testing::TestWithParam<std::tuple<torch::DeviceType, torch::ScalarType>> {};

TEST_P(ForwardOfAnyDtype, CopiesRowsOfEveryWidth) {
  const auto [device, dtype] = GetParam();
  for (const std::int64_t dim : {0, 1, 3, 5, 16, 17}) {
    SCOPED_TRACE(dim);
    const auto table = torch::randint(0, 2, {10, dim}, torch::kLong).to(dtype).to(device);
    const auto indices = torch::tensor({9, 0, 3, 3}, torch::kLong).to(device);
    EXPECT_TRUE(bit_equal(rowlane::embedding(table, indices), table.index_select(0, indices)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllDtypes, ForwardOfAnyDtype,
    ::testing::Combine(::testing::ValuesIn(devices()),
                       ::testing::Values(torch::kBool, torch::kByte, torch::kChar, torch::kShort,
                                         torch::kInt, torch::kLong, torch::kHalf, torch::kBFloat16,
                                         torch::kFloat, torch::kDouble, torch::kComplexFloat,
                                         torch::kComplexDouble)),
    [](const auto& info) {
      return torch::DeviceTypeName(std::get<0>(info.param)) + "_" +
             std::string(torch::toString(std::get<1>(info.param)));
    });

class Shapes : public ::testing::TestWithParam<torch::DeviceType> {};

TEST_P(Shapes, FollowTheIndices) {
  const auto table = torch::randn({6, 4}, GetParam());
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{}, {0}, {5}, {2, 3}, {2, 0, 3}, {1, 2, 3, 2}}) {
    const auto indices = torch::randint(6, shape, torch::kLong).to(GetParam());
    const auto rows = rowlane::embedding(table, indices);
    auto expected = shape;
    expected.push_back(4);
    EXPECT_EQ(rows.sizes(), torch::IntArrayRef(expected));
    EXPECT_TRUE(bit_equal(rows.reshape({-1, 4}), table.index_select(0, indices.reshape(-1))));
  }
}

TEST_P(Shapes, EmptyTablesTakeEmptyIndices) {
  const auto none = torch::empty({0}, torch::dtype(torch::kLong).device(GetParam()));
  const auto no_rows = torch::empty({0, 3}, GetParam()).requires_grad_();
  const auto no_columns = torch::empty({3, 0}, GetParam()).requires_grad_();
  EXPECT_EQ(rowlane::embedding(no_rows, none).sizes(), torch::IntArrayRef({0, 3}));
  EXPECT_EQ(rowlane::embedding(no_columns, torch::zeros_like(none)).sizes(),
            torch::IntArrayRef({0, 0}));
  rowlane::embedding(no_rows, none).sum().backward();
  EXPECT_EQ(no_rows.grad().sizes(), torch::IntArrayRef({0, 3}));
  rowlane::embedding(no_columns, torch::zeros({2}, none.options())).sum().backward();
  EXPECT_EQ(no_columns.grad().sizes(), torch::IntArrayRef({3, 0}));
}

TEST_P(Shapes, StridedInputsGiveTheSameResult) {
  const auto base = torch::randn({8, 10}, GetParam());
  const auto indices = torch::tensor({{1, 2, 7}, {0, 7, 7}}, torch::kLong).to(GetParam());
  for (const auto& table : {base.narrow(1, 2, 5), base.t(), base.slice(0, 0, 8, 2),
                            base.slice(1, 0, 10, 3), base[0].expand({8, 10})}) {
    const auto valid = indices.remainder(table.size(0));
    const auto weight = table.detach().requires_grad_();
    const auto rows = rowlane::embedding(weight, valid.t());
    EXPECT_TRUE(bit_equal(rows, table.contiguous().index({valid.t()})));
    const auto expanded =
        torch::autograd::grad({rows}, {weight}, {torch::ones({1}, GetParam()).expand_as(rows)})[0];
    EXPECT_TRUE(bit_equal(
        expanded, oracle_backward(torch::ones_like(rows), valid.t().contiguous(), table.size(0))
                      .to(torch::kFloat)));
  }
}

TEST_P(Shapes, StridedTablesOfEveryTypeAndDimAreLookedUp) {
  const auto indices = make_indices(IndexSet::kZipf, kNumRows, 100).to(GetParam());
  for (const auto dtype : {torch::kBool, torch::kChar, torch::kHalf, torch::kBFloat16,
                           torch::kFloat, torch::kDouble, torch::kLong, torch::kComplexDouble}) {
    for (const std::int64_t dim : {1, 2, 3, 8, 31, 64, 257}) {
      SCOPED_TRACE(::testing::Message() << dtype << " dim " << dim);
      const auto wide = torch::randint(-9, 9, {kNumRows + 1, 2 * dim + 1}).to(GetParam(), dtype);
      const auto tall = torch::randint(-9, 9, {dim + 1, kNumRows + 1}).to(GetParam(), dtype);
      for (const auto& table :
           {wide.slice(0, 1).slice(1, 1, dim + 1), wide.slice(0, 1).slice(1, 1, 2 * dim + 1, 2),
            tall.t().slice(0, 1).slice(1, 1), wide.slice(0, 1).narrow(1, 1, 1).expand({-1, dim}),
            wide[0][0].expand({kNumRows, dim})}) {
        EXPECT_TRUE(bit_equal(rowlane::embedding(table, indices), table.index_select(0, indices)));
        EXPECT_TRUE(bit_equal(rowlane::embedding(table, indices.to(torch::kInt)),
                              table.index_select(0, indices)));
      }
    }
  }
}

TEST_P(Shapes, FewRowsOfALargeTransposedTableAreReadAlone) {
  if (runs_device_code(GetParam())) {
    GTEST_SKIP() << "Clocks say nothing about device code.";
  }
  const auto table = torch::ones({64, 1'000'000}).t();
  const auto indices = torch::randint(table.size(0), {64}, torch::kLong);
  const auto seconds_of = [](auto&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const double copy = seconds_of([&] { return table.contiguous(); });
  const double look_ups = seconds_of([&] {
    for (int i = 0; i < 10; ++i) {
      rowlane::embedding(table, indices, EmbeddingFuncOptions().max_norm(1e6 * i));
    }
  });
  EXPECT_LT(look_ups, copy);
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Shapes, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
