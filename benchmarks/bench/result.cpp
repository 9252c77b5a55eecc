#include "bench/result.h"

#include <algorithm>

#include "harness/implementation.h"

namespace rowlane::bench {

const Result* ProblemReport::find(Op op, const ImplementationId& id) const {
  const auto found = std::find_if(results.begin(), results.end(), [&](const Result& result) {
    return result.op == op && result.id == id;
  });
  return found == results.end() ? nullptr : &*found;
}

std::int64_t ProblemReport::floor_bytes(Op op) const {
  const std::int64_t row_bytes = problem.dim * problem.elem_bytes();
  const std::int64_t num_indices = problem.num_indices();
  const std::int64_t table_rows = op == Op::kForward ? num_distinct_rows : problem.num_rows;
  return (table_rows + num_indices) * row_bytes + num_indices * problem.index_bytes();
}

std::int64_t ProblemReport::useful_bytes(Op op) const {
  if (op == Op::kBackwardDense) {
    return floor_bytes(op);
  }
  const std::int64_t row_bytes = problem.dim * problem.elem_bytes();
  return problem.num_indices() * (2 * row_bytes + problem.index_bytes());
}

double ProblemReport::gb_per_s(const Result& result) const {
  return static_cast<double>(useful_bytes(result.op)) / (1e6 * result.timing.median_ms);
}

std::optional<double> ProblemReport::speed_up(const Result& result) const {
  const Result* const baseline = find(result.op, {kBaseline, "default"});
  if (baseline == nullptr) {
    return std::nullopt;
  }
  return baseline->timing.median_ms / result.timing.median_ms;
}

}  // namespace rowlane::bench
