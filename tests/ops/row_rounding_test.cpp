// Tables of 16 bits: rounding at random, and master copies.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "tests/support/devices.h"
#include "tests/support/oracle.h"
#include "tests/support/steps.h"

namespace rowlane::testing {
namespace {

using Param = std::tuple<torch::DeviceType, torch::ScalarType>;

class Rounding : public ::testing::TestWithParam<Param> {
 protected:
  void SetUp() override { torch::manual_seed(41); }

  [[nodiscard]] torch::ScalarType dtype() const { return std::get<1>(GetParam()); }

  // The table that a step rounds `exact` [V, D], float, to: a row of zeros whose master is exact.
  [[nodiscard]] torch::Tensor rounded(const torch::Tensor& exact,
                                      std::optional<std::int64_t> seed) const {
    RuleCase rule = rule_case("Sgd");
    rule.numbers.lr = 0;
    StepTensors tensors{.weight = torch::zeros(exact.sizes(), dtype()), .master = exact.clone()};
    tensors.seed = seed;
    const StepTensors on_device = tensors.to(std::get<0>(GetParam()));
    on_device.row_step(torch::arange(exact.size(0), on_device.weight.options().dtype(torch::kLong)),
                       torch::zeros_like(on_device.weight), rule);
    EXPECT_TRUE(bit_equal(on_device.master->view(torch::kInt), exact.view(torch::kInt)));
    return on_device.weight.cpu();
  }

  // Distance from one number of the dtype to the next, where |x| is.
  [[nodiscard]] torch::Tensor spacing(const torch::Tensor& x) const {
    const bool is_half = dtype() == torch::kHalf;
    const auto exponent = torch::floor(torch::log2(x.abs().to(torch::kDouble)));
    return torch::exp2(exponent.clamp_min(is_half ? -14 : -126) - (is_half ? 10 : 7));
  }
};

TEST_P(Rounding, AtRandomIsToANeighbourAndRightOnAverage) {
  // Of every size that half has, subnormal ones, too; 37 columns end within a vector.
  const auto exponents = torch::linspace(-23, 15, 37).to(torch::kDouble);
  const auto exact = (torch::exp2(exponents) * (torch::rand({4, 37}, torch::kDouble) + 0.5) *
                      (torch::randint(2, {4, 37}, torch::kLong) * 2 - 1))
                         .to(torch::kFloat);
  const auto wide = exact.to(torch::kDouble);
  constexpr int kSeeds = 2000;
  auto sum = torch::zeros({4, 37}, torch::kDouble);
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto result = rounded(exact, seed).to(torch::kDouble);
    EXPECT_TRUE(((result - wide).abs() < spacing(wide)).all().item<bool>()) << "seed " << seed;
    sum += result;
  }
  // A number is off by at most one spacing: 5 standard deviations of the mean are 2.5 / sqrt(n).
  const auto error = (sum / kSeeds - wide).abs() / spacing(wide);
  EXPECT_LT(error.max().item<double>(), 2.5 / std::sqrt(kSeeds));
  // Rounding to the nearest would fail this test.
  const auto nearest = (rounded(exact, std::nullopt).to(torch::kDouble) - wide).abs();
  EXPECT_GT((nearest / spacing(wide)).max().item<double>(), 2.5 / std::sqrt(kSeeds));
}

TEST_P(Rounding, AtRandomCanBeReplayed) {
  const auto exact = torch::randn({40, 33});
  EXPECT_TRUE(bit_equal(rounded(exact, 5), rounded(exact, 5)));
  EXPECT_FALSE(bit_equal(rounded(exact, 5), rounded(exact, 6)));
  // Each element has bits of its own.
  const auto same = torch::full({40, 33}, 1 + 0x1p-12);
  const auto up = rounded(same, 5).to(torch::kFloat) != 1;
  EXPECT_GT(up.sum().item<std::int64_t>(), 0);
  EXPECT_LT(up.sum().item<std::int64_t>(), up.numel());
}

TEST_P(Rounding, KeepsWhatIsNoNumberAndWhatIsExact) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto special =
      torch::tensor({infinity, -infinity, 0.F, -0.F, 1.F, -1.5F, 0x1p-14F, 0x1p-24F});
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    const auto result = rounded(special.view({1, -1}), seed).view(-1).to(torch::kFloat);
    EXPECT_TRUE(bit_equal(result, special));
    EXPECT_TRUE(result[3].signbit().item<bool>());
    const auto nans = torch::tensor({{nan, -nan}});
    EXPECT_TRUE(rounded(nans, seed).isnan().all().item<bool>());
  }
}

TEST_P(Rounding, OverflowsToInfinity) {
  const float largest = dtype() == torch::kHalf ? 65504.F : 0x1.fep127F;
  const float above = dtype() == torch::kHalf ? 65535.F : std::numeric_limits<float>::max();
  int infinite = 0;
  for (std::int64_t seed = 0; seed < 200; ++seed) {
    const float result = rounded(torch::full({1, 1}, above), seed).to(torch::kFloat).item<float>();
    EXPECT_TRUE(result == largest || std::isinf(result)) << result;
    infinite += std::isinf(result) ? 1 : 0;
  }
  EXPECT_GT(infinite, 150);
}

TEST_P(Rounding, StepsByFusedAndUnfusedAreTheSame) {
  const RuleCase rule = rule_case("Adagrad");
  const auto device = std::get<0>(GetParam());
  StepTensors fused = random_table(rule, 20, 19, dtype(), torch::kFloat).to(device);
  fused.seed = 3;
  const StepTensors unfused = fused.clone();
  const auto rows = torch::tensor({3, 8, 19}, torch::dtype(torch::kLong).device(device));
  const auto values = torch::randn({3, 19}).to(device, dtype());
  fused.embedding_step(values, rows, rule);
  unfused.row_step(rows, values, rule);
  EXPECT_TRUE(bit_equal(fused.weight, unfused.weight));
}

TEST_P(Rounding, LetsSmallStepsAddUp) {
  // 1000 steps of 2^-14 are lost when each is rounded to the nearest, but neither at random nor
  // with a master copy.
  RuleCase rule = rule_case("Sgd");
  rule.numbers.lr = 0x1p-14;
  const auto device = std::get<0>(GetParam());
  const auto options = torch::dtype(dtype()).device(device);
  const auto rows = torch::tensor({0}, options.dtype(torch::kLong));
  const auto after = [&](bool has_seed, bool has_master) {
    StepTensors tensors{.weight = torch::ones({1, 64}, options)};
    if (has_master) {
      tensors.master = torch::ones({1, 64}, options.dtype(torch::kFloat));
    }
    for (std::int64_t step = 0; step < 1000; ++step) {
      tensors.seed = has_seed ? std::optional(step) : std::nullopt;
      tensors.row_step(rows, torch::full({1, 64}, -1., options), rule);
    }
    return tensors.weight.to(torch::kFloat).mean().item<double>();
  };
  const double exact = 1 + 1000 * 0x1p-14;
  EXPECT_EQ(after(false, false), 1);
  EXPECT_NEAR(after(true, false), exact, 0.01);
  EXPECT_NEAR(after(false, true), exact, dtype() == torch::kHalf ? 0x1p-11 : 0x1p-8);
}

TEST_P(Rounding, OfAMasterCopyIsTheTable) {
  const auto device = std::get<0>(GetParam());
  for (const RuleCase& rule : rule_cases()) {
    SCOPED_TRACE(rule.name);
    StepTensors tensors = random_table(rule, 20, 19, dtype(), torch::kFloat);
    tensors.master = tensors.weight.to(torch::kFloat);
    StepTensors wide = tensors.clone().to(device);
    wide.weight = *wide.master;
    wide.master = std::nullopt;
    const StepTensors actual = tensors.clone().to(device);
    const auto indices = torch::tensor({3, 8, 19}, torch::dtype(torch::kLong).device(device));
    const auto grads = torch::randn({3, 19}).to(device, dtype());
    actual.embedding_step(grads, indices, rule);
    wide.embedding_step(grads.to(torch::kFloat), indices, rule);
    EXPECT_TRUE(bit_equal(*actual.master, wide.weight));
    EXPECT_TRUE(bit_equal(actual.weight, wide.weight.to(dtype())));
  }
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Rounding,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::Values(torch::kHalf, torch::kBFloat16)),
                         [](const auto& info) {
                           return torch::DeviceTypeName(std::get<0>(info.param)) + "_" +
                                  torch::toString(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace rowlane::testing
