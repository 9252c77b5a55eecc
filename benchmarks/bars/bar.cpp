#include "bars/bar.h"

#include <algorithm>
#include <cmath>

namespace rowlane::bench {
namespace {

// What of memory's own ratio has to be reached.
constexpr double kLimitShare = 0.9;

bool is_at_limit(const Comparison& comparison, double least_ratio) {
  return comparison.ratio() < least_ratio &&
         comparison.ratio_of_bound() < least_ratio / kLimitShare &&
         comparison.ratio() >= kLimitShare * comparison.ratio_of_bound();
}

}  // namespace

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

bool Bar::is_met() const {
  double sum_of_logs = 0.0;
  std::int64_t num_counted = 0;
  for (const Comparison& comparison : comparisons) {
    if (is_at_limit(comparison, least_ratio)) {
      continue;
    }
    if (comparison.ratio() < least_ratio) {
      return false;
    }
    sum_of_logs += std::log(comparison.ratio());
    ++num_counted;
  }
  return num_counted == 0 || std::exp(sum_of_logs / static_cast<double>(num_counted)) >= least_mean;
}

std::int64_t Bar::num_at_limit() const {
  return std::count_if(
      comparisons.begin(), comparisons.end(),
      [this](const Comparison& comparison) { return is_at_limit(comparison, least_ratio); });
}

}  // namespace rowlane::bench
