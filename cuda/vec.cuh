// N values of type T that are loaded and stored together.
#pragma once

namespace rowlane::simt {

// Aligned as a whole: sizeof(T) * N must be 1, 2, 4, 8 or 16 to be one access.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  static constexpr int kSize = N;
  T v[N];
};

}  // namespace rowlane::simt
