// The same results as torch::nn::functional::embedding for every combination of its options.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>
#include <sstream>
#include <string>
#include <tuple>

#include "rowlane/nn/functional/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

namespace F = torch::nn::functional;

using Param = std::tuple<torch::DeviceType, torch::ScalarType, torch::ScalarType>;

std::string param_name(const ::testing::TestParamInfo<Param>& info) {
  const auto& [device, dtype, index_dtype] = info.param;
  std::ostringstream name;
  name << torch::DeviceTypeName(device) << "_" << torch::toString(dtype) << "_"
       << torch::toString(index_dtype);
  return name.str();
}

class Parity : public ::testing::TestWithParam<Param> {
 protected:
  void SetUp() override { torch::manual_seed(17); }
};

double tolerance(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kDouble:
      return 1e-12;
    case torch::kFloat:
      return 1e-6;
    case torch::kHalf:
      return 4e-3;
    default:
      return 3e-2;
  }
}

struct Outcome {
  torch::Tensor table;  // as the call left it
  torch::Tensor rows;
  torch::Tensor grad;
};

template <typename LookUp>
Outcome run(LookUp&& look_up, const torch::Tensor& table) {
  const auto weight = table.clone().requires_grad_();
  const auto rows = look_up(weight);
  // Integers, so that sums are exact.
  const auto grad_output =
      torch::arange(rows.numel(), torch::kLong).remainder(5).sub(2).view(rows.sizes());
  const auto grad =
      torch::autograd::grad({rows}, {weight}, {grad_output.to(rows.device(), rows.dtype())})[0];
  return {weight.detach(), rows.detach(), grad};
}

void expect_close(const torch::Tensor& actual, const torch::Tensor& expected, double tol) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type());
  EXPECT_TRUE(actual.to(torch::kDouble).allclose(expected.to(torch::kDouble), tol, tol))
      << (actual.to(torch::kDouble) - expected.to(torch::kDouble)).abs().max().item<double>();
}

TEST_P(Parity, EveryCombinationOfOptionsAgrees) {
  const auto [device, dtype, index_dtype] = GetParam();
  const auto table = torch::randn({12, 5}).mul(2).to(device, dtype);
  const double tol = tolerance(dtype);
  const double inf = std::numeric_limits<double>::infinity();
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{}, {0}, {7}, {4, 6}, {2, 3, 2}}) {
    const auto indices = torch::randint(12, shape, torch::kLong).to(device, index_dtype);
    auto output_shape = shape;
    output_shape.push_back(5);
    for (const std::optional<std::int64_t>& padding :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(3),
          std::optional<std::int64_t>(-1)}) {
      for (const std::optional<double>& max_norm :
           {std::optional<double>(), std::optional<double>(1.5), std::optional<double>(0.)}) {
        for (const double norm_type : {2., 1., 3.5, inf, 0.5}) {
          if (!max_norm && norm_type != 2) {
            continue;
          }
          for (const auto& [scale, is_sparse] :
               {std::pair(false, false), {true, false}, {false, true}}) {
            SCOPED_TRACE(::testing::Message()
                         << "indices " << shape << ", padding_idx " << padding.value_or(-9)
                         << ", max_norm " << max_norm.value_or(-9) << ", norm_type " << norm_type
                         << ", scale_grad_by_freq " << scale << ", sparse " << is_sparse);
            const auto theirs = run(
                [&](const auto& weight) {
                  // torch's renorm takes no 0-d indices.
                  return F::embedding(indices.reshape(-1), weight,
                                      F::EmbeddingFuncOptions()
                                          .padding_idx(padding)
                                          .max_norm(max_norm)
                                          .norm_type(norm_type)
                                          .scale_grad_by_freq(scale)
                                          .sparse(is_sparse))
                      .view(output_shape);
                },
                table);
            const auto mine = run(
                [&](const auto& weight) {
                  return nn::functional::embedding(indices, weight,
                                                   nn::functional::EmbeddingFuncOptions()
                                                       .padding_idx(padding)
                                                       .max_norm(max_norm)
                                                       .norm_type(norm_type)
                                                       .scale_grad_by_freq(scale)
                                                       .sparse(is_sparse));
                },
                table);
            expect_close(mine.table, theirs.table, tol);
            expect_close(mine.rows, theirs.rows, tol);
            if (is_sparse) {
              EXPECT_TRUE(bit_equal(mine.grad._indices(), theirs.grad._indices()));
              EXPECT_TRUE(bit_equal(mine.grad._values(), theirs.grad._values()));
            } else if (scale) {
              expect_close(mine.grad, theirs.grad, 8 * tol);
            } else {
              EXPECT_TRUE(bit_equal(mine.grad, theirs.grad));
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllDtypes, Parity,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::Values(torch::kFloat, torch::kDouble,
                                                              torch::kHalf, torch::kBFloat16),
                                            ::testing::Values(torch::kInt, torch::kLong)),
                         param_name);

class ParityOfDerivatives : public ::testing::TestWithParam<torch::DeviceType> {};

TEST_P(ParityOfDerivatives, SecondDerivativeEqualsTorchs) {
  torch::manual_seed(2);
  const auto table = torch::randn({6, 4}, torch::dtype(torch::kDouble).device(GetParam()));
  const auto indices = torch::tensor({1, 2, 2, 5, 0}, torch::kLong).to(GetParam());
  const auto second = [&](auto&& look_up) {
    const auto weight = table.clone().requires_grad_();
    const auto first = torch::autograd::grad({look_up(weight).pow(3).sum()}, {weight}, {}, true,
                                             /*create_graph=*/true)[0];
    return torch::autograd::grad({(first * table).sum()}, {weight})[0];
  };
  for (const std::int64_t padding : {2, 4}) {
    EXPECT_TRUE(second([&](const auto& weight) {
                  return rowlane::embedding(weight, indices,
                                            EmbeddingFuncOptions().padding_idx(padding));
                }).allclose(second([&](const auto& weight) {
      return F::embedding(indices, weight, F::EmbeddingFuncOptions().padding_idx(padding));
    })));
  }
}

TEST_P(ParityOfDerivatives, FrequenciesAreThoseOfAllIndices) {
  const auto weight = torch::zeros({4, 2}, GetParam()).requires_grad_();
  const auto indices = torch::tensor({{1, 1}, {1, 3}}, torch::kLong).to(GetParam());
  rowlane::embedding(weight, indices, EmbeddingFuncOptions().scale_grad_by_freq(true))
      .backward(torch::full({2, 2, 2}, 6., GetParam()));
  EXPECT_TRUE(bit_equal(weight.grad(),
                        torch::tensor({{0., 0.}, {6., 6.}, {0., 0.}, {6., 6.}}, torch::kFloat)));
}

INSTANTIATE_TEST_SUITE_P(AllDevices, ParityOfDerivatives, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
