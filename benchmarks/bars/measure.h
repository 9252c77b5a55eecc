// What is measured on each workload, beside torch in one run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index_batches.h"
#include "timing.h"
#include "workload.h"

namespace rowlane::bench {

enum class Measure : std::uint8_t {
  kForward,
  kBackwardDense,
  kBackwardRows,  // torch: sparse=True, then coalesce()
  kOneHot,        // forward and backward through autograd; torch: the one-hot product
  kOverhead,      // forward and backward through autograd; torch: nn.Embedding
  kThreads,       // forward, dense backward and row gradient; torch's place: Rowlane on one thread
};

std::string to_string(Measure measure);

// The two timings of one measure on one problem.
struct Comparison {
  Measure measure = Measure::kForward;
  std::string workload;
  Problem problem;
  Timing torch;
  Timing rowlane;
  // The fewest bytes that Rowlane must move.
  std::int64_t floor_bytes = 0;

  [[nodiscard]] double ratio() const { return torch.median_ms / rowlane.median_ms; }
  [[nodiscard]] double gb_per_s() const {
    return static_cast<double>(floor_bytes) / rowlane.median_ms / 1e6;
  }
};

struct MeasureOptions {
  double budget_s = 0.5;  // for each comparison
  bool is_quick = false;
  bool takes_processor_time = false;
};

// The comparisons of one problem, for those of the measures that make sense for it.
std::vector<Comparison> measure(const std::string& workload, const Problem& problem,
                                const std::vector<Measure>& measures, const Ratings* ratings,
                                const MeasureOptions& options);

// Of all threads together, in 1e9 bytes written per second, over memory far above the caches.
struct Bandwidth {
  double fill_gb_per_s = 0.0;
  double copy_gb_per_s = 0.0;  // bytes that are written; as many are read
};
Bandwidth measure_bandwidth();

// The largest error of an element of a bfloat16 gradient against fp64, in units of the last place
// of the right element's bfloat16.
struct UlpErrors {
  double torch = 0.0;
  double rowlane = 0.0;
};
UlpErrors measure_bfloat16_errors(std::int64_t num_indices);

}  // namespace rowlane::bench
