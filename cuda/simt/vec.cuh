// N values of type T that are loaded and stored together.
#pragma once

#include <cstdint>
#include <type_traits>

namespace rowlane::simt {

// Aligned as a whole: sizeof(T) * N must be 1, 2, 4, 8 or 16 to be one access.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  static constexpr int kSize = N;
  T v[N];
};

// kBytes bytes without a meaning.
template <int kBytes>
using Bytes = std::conditional_t<kBytes == 1, Vec<std::uint8_t, 1>,
                                 std::conditional_t<kBytes == 2, Vec<std::uint16_t, 1>,
                                                    Vec<std::uint32_t, kBytes / 4 + (kBytes < 4)>>>;

}  // namespace rowlane::simt
