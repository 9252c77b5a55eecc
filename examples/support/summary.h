// The figure of several runs, and whether it is the one that was expected.
#pragma once

#include <string>
#include <vector>

namespace rowlane::examples {

struct Spread {
  double mean;
  double deviation;  // of the sample (n - 1); 0 for a single value
  double least, most;
};

// `values` has at least one; with a NaN among them all of the spread is NaN.
Spread spread_of(const std::vector<double>& values);

// Prints whether `value` is between the two numbers of `band`, and returns it; true when there is
// no band.
bool is_as_expected(const std::string& what, double value, const std::vector<double>& band);

}  // namespace rowlane::examples
