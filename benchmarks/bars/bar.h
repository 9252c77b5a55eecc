// What the CPU's kernels promise, and whether they keep it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bars/measure.h"

namespace rowlane::bench {

struct Bar {
  std::string name;
  double least_mean = 0.0;   // of the geometric mean of the ratios
  double least_ratio = 0.0;  // of each, but for those at memory's limit
  // Said, so that a bar can be named without them.
  // NOLINTNEXTLINE(readability-redundant-member-init)
  std::vector<Comparison> comparisons = {};

  [[nodiscard]] double mean() const;
  [[nodiscard]] const Comparison& worst() const;
  [[nodiscard]] bool is_met() const;
  // How many comparisons miss least_ratio because memory by itself does: more threads don't move
  // more bytes.
  [[nodiscard]] std::int64_t num_at_limit() const;
};

}  // namespace rowlane::bench
