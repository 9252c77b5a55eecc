// The best of a table's rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rowlane::examples {

struct ScoredRow {
  std::int64_t row;
  double score;
};

// Rows of the `count` largest (or smallest) of `scores` [num_rows], best first. Those that are
// not-a-number are left out, and report_not_a_number() says so of `what`.
std::vector<ScoredRow> top_rows(const std::string& what, const at::Tensor& scores,
                                std::int64_t count, bool is_largest);

}  // namespace rowlane::examples
