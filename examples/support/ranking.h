// Order among numbers of which some may be not-a-number: a model that diverged has such.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rowlane::examples {

// Says on standard error how many of `total` values of `what` are not-a-number; nothing when none
// is. Returns whether there are any.
bool report_not_a_number(const std::string& what, std::int64_t count, std::int64_t total);

// Ranks from 1 on; equal values get the mean of theirs. Not-a-number has no place in an order: with
// one of them every rank is not-a-number, and report_not_a_number() says so.
std::vector<double> mean_ranks(const std::string& what, const std::vector<double>& values);

}  // namespace rowlane::examples
