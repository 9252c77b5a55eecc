// Stochastic rounding: the same for the CPU and for device code, and a function of the number, the
// seed and the place alone, so that a step can be replayed.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define ROWLANE_ROUNDING __host__ __device__ __forceinline__
#else
#define ROWLANE_ROUNDING [[gnu::always_inline]] inline
#endif

namespace rowlane::kernels {

// What all elements of a row share. The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators").
ROWLANE_ROUNDING std::uint32_t rounding_key(std::uint64_t seed, std::int64_t row) {
  std::uint64_t x = seed + static_cast<std::uint64_t>(row + 1) * 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return static_cast<std::uint32_t>((x ^ (x >> 31U)) >> 32U);
}

// 32 bits for the element in this column. The finaliser "lowbias32" of C. Wellons' hash-prospector.
ROWLANE_ROUNDING std::uint32_t rounding_bits(std::uint32_t key, std::uint32_t column) {
  std::uint32_t x = key + column * 0x9e3779b9U;
  x = (x ^ (x >> 16U)) * 0x7feb352dU;
  x = (x ^ (x >> 15U)) * 0x846ca68bU;
  return x ^ (x >> 16U);
}

// Drops the last kDropped bits of a finite number: away from zero with the probability that they,
// as a fraction, stand for, toward zero otherwise.
template <int kDropped>
ROWLANE_ROUNDING float drop_bits_at_random(float x, std::uint32_t random) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  if ((bits & 0x7f800000U) == 0x7f800000U) {
    return x;  // an infinity or a NaN
  }
  const std::uint32_t sum = bits + (random >> (32 - kDropped));
  return __builtin_bit_cast(float, sum >> kDropped << kDropped);
}

// x rounded to one of the two bfloat16 next to it, so that the mean over `random` is x.
ROWLANE_ROUNDING float round_to_bfloat16_at_random(float x, std::uint32_t random) {
  return drop_bits_at_random<16>(x, random);
}

// The same for half. Below its smallest normal number the spacing stays what it is just above:
// adding that number brings the bits that half lacks where those of larger numbers are.
ROWLANE_ROUNDING float round_to_half_at_random(float x, std::uint32_t random) {
  constexpr std::uint32_t kSign = 0x80000000U;
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const auto magnitude = __builtin_bit_cast(float, bits & ~kSign);
  const float shift = magnitude < 0x1p-14F ? 0x1p-14F : 0.F;
  const float rounded = drop_bits_at_random<13>(magnitude + shift, random) - shift;
  return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, rounded) | (bits & kSign));
}

}  // namespace rowlane::kernels

#undef ROWLANE_ROUNDING
