// Random numbers that are the same in every run and on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace rowlane::bench {

// The seed of everything that is drawn for a benchmark.
inline constexpr std::uint64_t kIndexSeed = 20180315;

// mt19937_64's numbers are the same everywhere; the distributions of <random> aren't, so the two
// that are needed are written out.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  // In [0, 1).
  double uniform() { return static_cast<double>(engine_() >> 11U) * 0x1.0p-53; }

  // In [0, bound).
  std::int64_t below(std::int64_t bound) {
    return std::min(bound - 1, static_cast<std::int64_t>(uniform() * static_cast<double>(bound)));
  }

  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1],
                values[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace rowlane::bench
