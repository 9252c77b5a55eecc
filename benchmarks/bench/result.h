// What was measured.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/timing.h"
#include "workloads/workload.h"

namespace rowlane::bench {

enum class Op : std::uint8_t { kForward, kBackwardDense };

// "forward", "backward_dense".
inline const char* to_string(Op op) { return op == Op::kForward ? "forward" : "backward_dense"; }

// An implementation as it is reported.
struct ImplementationId {
  std::string impl;
  std::string algorithm;

  auto operator<=>(const ImplementationId&) const = default;
};

struct Result {
  Op op = Op::kForward;
  ImplementationId id;
  Timing timing;
  // Against double precision: of the output or of the gradient.
  double max_abs_error = 0.0;
  // Most tensor memory at one time in a forward and backward pass, where it is compared.
  std::optional<std::int64_t> peak_bytes;
};

// An implementation that could not run, or would have taken too long.
struct Skip {
  std::string impl;
  std::string reason;
  std::optional<std::int64_t> estimated_peak_bytes;
};

struct ProblemReport {
  std::string workload;
  Problem problem;
  // Distinct rows among the indices of the first batch.
  std::int64_t num_distinct_rows = 0;
  // Those that ran, in the order in which they are shown.
  std::vector<ImplementationId> implementations;
  std::vector<Result> results;
  std::vector<Skip> skips;
  // Seconds spent on interleaved timing.
  double timing_s = 0.0;

  // Null when it wasn't timed.
  [[nodiscard]] const Result* find(Op op, const ImplementationId& id) const;
  // The fewest bytes that must be moved: each distinct row once.
  [[nodiscard]] std::int64_t floor_bytes(Op op) const;
  // The bytes that are asked for: each look-up's row.
  [[nodiscard]] std::int64_t useful_bytes(Op op) const;
  // Useful bytes over the median time.
  [[nodiscard]] double gb_per_s(const Result& result) const;
  // The baseline's median over this result's; nothing when the baseline wasn't timed.
  [[nodiscard]] std::optional<double> speed_up(const Result& result) const;
};

}  // namespace rowlane::bench
