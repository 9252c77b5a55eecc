#include "bars/bar.h"

#include <algorithm>
#include <cmath>

namespace rowlane::bench {

double Bar::mean() const {
  double sum_of_logs = 0.0;
  for (const Comparison& comparison : comparisons) {
    sum_of_logs += std::log(comparison.ratio());
  }
  return std::exp(sum_of_logs / static_cast<double>(comparisons.size()));
}

const Comparison& Bar::worst() const {
  return *std::min_element(
      comparisons.begin(), comparisons.end(),
      [](const Comparison& a, const Comparison& b) { return a.ratio() < b.ratio(); });
}

bool Bar::is_met() const { return mean() >= least_mean && worst().ratio() >= least_ratio; }

}  // namespace rowlane::bench
