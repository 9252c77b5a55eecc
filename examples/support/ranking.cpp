#include "ranking.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

namespace rowlane::examples {

bool report_not_a_number(const std::string& what, std::int64_t count, std::int64_t total) {
  if (count > 0) {
    std::fprintf(stderr, "%s of %s %s are not-a-number\n", std::to_string(count).c_str(),
                 std::to_string(total).c_str(), what.c_str());
  }
  return count > 0;
}

std::vector<double> mean_ranks(const std::string& what, const std::vector<double>& values) {
  std::vector<double> ranks(values.size(), std::numeric_limits<double>::quiet_NaN());
  const auto num_bad =
      std::count_if(values.begin(), values.end(), [](double value) { return std::isnan(value); });
  if (report_not_a_number(what, num_bad, static_cast<std::int64_t>(values.size()))) {
    return ranks;
  }
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (std::size_t i = begin; i < end; ++i) {
      ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    }
    begin = end;
  }
  return ranks;
}

}  // namespace rowlane::examples
