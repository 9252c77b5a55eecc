#include "tune/tuner.h"

#include <cmath>
#include <iomanip>

#include "workloads/index_law.h"

namespace rowlane::bench {
namespace {

using kernels::BackwardRequest;
using kernels::Tuning;

struct Table {
  std::int64_t num_rows;
  std::int64_t dim;
};
// Tables of the standard workloads: small and large, narrow and wide.
constexpr Table kTables[] = {{944, 50}, {4096, 128}, {100'000, 16}, {20'000, 300}};

// How a backward is made: the request, and the tuning that decides the rest.
struct Choice {
  BackwardRequest request;
  Tuning tuning;
};

// How long `few` takes in terms of `many`, as a geometric mean.
double compare(const TimeBackward& time, std::int64_t num_indices, const Choice& few,
               const Choice& many) {
  constexpr IndexSource kLaws[] = {kUniform, zipf(1.0)};
  double log_sum = 0;
  int count = 0;
  for (const Table& table : kTables) {
    for (const IndexSource& law : kLaws) {
      const TuneProblem problem{.num_rows = table.num_rows,
                                .dim = table.dim,
                                .indices = draw_indices(law, table.num_rows, num_indices)};
      log_sum += std::log(time(problem, few.request, few.tuning) /
                          time(problem, many.request, many.tuning));
      ++count;
    }
  }
  return std::exp(log_sum / count);
}

// The last of the sizes first, 2 * first .. last at which `few` was no slower, or first / 2.
std::int64_t crossing(const TimeBackward& time, std::int64_t first, std::int64_t last,
                      const Choice& few, const Choice& many, std::ostream& out) {
  for (std::int64_t n = first; n <= last; n *= 2) {
    const double ratio = compare(time, n, few, many);
    out << "  " << std::setw(8) << n << " indices  " << std::fixed << std::setprecision(2) << ratio
        << " x" << std::endl;
    if (ratio > 1) {
      return n / 2;
    }
  }
  return last;
}

}  // namespace

Tuning tune(const TimeBackward& time, std::ostream& out) {
  Tuning tuning;
  out << "one launch, in terms of sort and reduce:\n";
  tuning.small_max_indices =
      crossing(time, 64, kernels::kSmallMaxIndices, {BackwardRequest::kSmall, {}},
               {BackwardRequest::kSorted, {}}, out);
  out << "our own sort, in terms of CUB's:\n";
  tuning.tile_sort_max_indices = crossing(
      time, 2 * kernels::kMaxBlockSort, kernels::kMaxTileSort, {BackwardRequest::kSorted, {}},
      {BackwardRequest::kSorted, {.tile_sort_max_indices = kernels::kMaxBlockSort}}, out);
  return tuning;
}

}  // namespace rowlane::bench
