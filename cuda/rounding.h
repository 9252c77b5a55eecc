// The random bits of stochastic rounding: the same for the CPU and for device code, and a function
// of the seed and the place alone, so that a step can be replayed.
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

}  // namespace rowlane::kernels

#undef ROWLANE_ROUNDING
