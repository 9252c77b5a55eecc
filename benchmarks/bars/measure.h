// What is measured on each workload, beside torch in one run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/memory_streams.h"
#include "harness/timing.h"
#include "workloads/index_batches.h"
#include "workloads/workload.h"

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
  // Those bytes, or more that come close, moved with nothing to compute, with as many threads as
  // Rowlane has, and of kThreads with one.
  Streams streams;
  std::optional<Timing> bound = std::nullopt;
  std::optional<Timing> bound_on_one_thread = std::nullopt;

  [[nodiscard]] double ratio() const { return torch.median_ms / rowlane.median_ms; }
  // For kThreads: the ratio that memory by itself has, or infinity.
  [[nodiscard]] double ratio_of_bound() const;
  // How much of Rowlane's time memory takes by itself; 0 if it was not measured.
  [[nodiscard]] double share_of_bound() const;
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

// The largest error of an element of a bfloat16 gradient against fp64, in units of the last place
// of the right element's bfloat16.
struct UlpErrors {
  double torch = 0.0;
  double rowlane = 0.0;
};
UlpErrors measure_bfloat16_errors(std::int64_t num_indices);

}  // namespace rowlane::bench
