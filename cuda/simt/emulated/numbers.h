// The 16-bit floating-point types and the type that they are accumulated in.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace rowlane::simt {

struct half {
  std::uint16_t bits;
};

struct bfloat16 {
  std::uint16_t bits;
};

template <typename T>
using Accum = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline float to_accum(float x) { return x; }
inline double to_accum(double x) { return x; }
inline float to_accum(half x) { return static_cast<float>(std::bit_cast<_Float16>(x.bits)); }
inline float to_accum(bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// To nearest even. A NaN becomes CUDA's NaN.
template <typename T>
T from_accum(Accum<T> x) {
  constexpr std::uint16_t kNan = 0x7fff;
  if constexpr (std::is_same_v<T, half>) {
    return {std::isnan(x) ? kNan : std::bit_cast<std::uint16_t>(static_cast<_Float16>(x))};
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t odd = bits >> 16 & 1U;
    return {std::isnan(x) ? kNan : static_cast<std::uint16_t>((bits + 0x7fffU + odd) >> 16)};
  } else {
    return x;
  }
}

}  // namespace rowlane::simt
