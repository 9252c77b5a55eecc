// Stochastic rounding: to a neighbour, with the right mean, by bits that depend on seed and place.
#include "cuda/rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>

#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {
namespace {

float round_as(simt::half /*type*/, float x, std::uint32_t random) {
  return round_to_half_at_random(x, random);
}
float round_as(simt::bfloat16 /*type*/, float x, std::uint32_t random) {
  return round_to_bfloat16_at_random(x, random);
}

template <typename T>
void expect_unbiased(float x, double spacing) {
  constexpr int kSamples = 1 << 16;
  double sum = 0;
  std::set<float> seen;
  const std::uint32_t key = rounding_key(7, 3);
  for (std::uint32_t column = 0; column < kSamples; ++column) {
    const float rounded = round_as(T{}, x, rounding_bits(key, column));
    ASSERT_EQ(simt::to_accum(simt::from_accum<T>(rounded)), rounded) << x;
    ASSERT_LT(std::abs(static_cast<double>(rounded) - static_cast<double>(x)), spacing) << x;
    seen.insert(rounded);
    sum += static_cast<double>(rounded);
  }
  EXPECT_LE(seen.size(), 2U) << x;
  // Four standard deviations of the mean of numbers that are `spacing` apart.
  EXPECT_NEAR(sum / kSamples, static_cast<double>(x), 4 * spacing / 2 / std::sqrt(kSamples)) << x;
}

TEST(StochasticRounding, HasTheRightMean) {
  for (const float sign : {1.F, -1.F}) {
    expect_unbiased<simt::bfloat16>(sign * 1.001F, 0x1p-7);
    expect_unbiased<simt::bfloat16>(sign * 1.999F, 0x1p-7);
    expect_unbiased<simt::bfloat16>(sign * 3.3e-38F, 0x1p-132);
    expect_unbiased<simt::half>(sign * 1.0001F, 0x1p-10);
    expect_unbiased<simt::half>(sign * 1023.9F, 0x1p-1);
    expect_unbiased<simt::half>(sign * 0x1.fffp-15F, 0x1p-24);  // subnormal
    expect_unbiased<simt::half>(sign * 0x1.8p-26F, 0x1p-24);
  }
}

TEST(StochasticRounding, KeepsWhatNeedsNone) {
  for (std::uint32_t random : {0U, 0x12345678U, 0xffffffffU}) {
    for (const float x : {0.F, 1.F, -0.5F, 0x1p-24F, 65504.F}) {
      EXPECT_EQ(round_to_half_at_random(x, random), x);
    }
    for (const float x : {0.F, 1.F, -0.5F, 0x1p-126F}) {
      EXPECT_EQ(round_to_bfloat16_at_random(x, random), x);
    }
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(round_to_half_at_random(-kInfinity, random), -kInfinity);
    EXPECT_EQ(round_to_bfloat16_at_random(kInfinity, random), kInfinity);
    EXPECT_TRUE(std::isnan(round_to_half_at_random(std::nanf(""), random)));
    EXPECT_TRUE(std::isnan(round_to_bfloat16_at_random(std::nanf(""), random)));
  }
}

TEST(StochasticRounding, DrawsBitsByTheSeedTheRowAndTheColumn) {
  std::set<std::uint32_t> bits;
  for (const std::uint64_t seed : {0U, 1U}) {
    for (std::int64_t row = 0; row < 10; ++row) {
      for (std::uint32_t column = 0; column < 100; ++column) {
        bits.insert(rounding_bits(rounding_key(seed, row), column));
      }
    }
  }
  EXPECT_GE(bits.size(), 1999U);
  EXPECT_EQ(rounding_bits(rounding_key(5, 6), 7), rounding_bits(rounding_key(5, 6), 7));
}

}  // namespace
}  // namespace rowlane::kernels
