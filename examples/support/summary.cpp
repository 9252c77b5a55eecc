#include "summary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace rowlane::examples {

Spread spread_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double sum_of_squares = 0;
  for (const double value : values) {
    sum_of_squares += (value - mean) * (value - mean);
  }
  if (std::isnan(mean)) {
    return {mean, mean, mean, mean};
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {mean, values.size() > 1 ? std::sqrt(sum_of_squares / (count - 1)) : 0, *least, *most};
}

bool is_as_expected(const std::string& what, double value, const std::vector<double>& band) {
  if (band.empty()) {
    return true;
  }
  const bool is_within = band.at(0) <= value && value <= band.at(1);
  std::printf("%s %.4f, expected between %g and %g: %s\n", what.c_str(), value, band[0], band[1],
              is_within ? "ok" : "FAIL");
  return is_within;
}

}  // namespace rowlane::examples
