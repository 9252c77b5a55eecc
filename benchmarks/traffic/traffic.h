// What one look-up or its backward moves, counted on the emulated device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda/backward.h"
#include "cuda/backward_step.h"
#include "cuda/simt/emulated/counts.h"
#include "cuda/types.h"

namespace rowlane::bench {

struct TrafficProblem {
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  kernels::ElemType elem_type = kernels::ElemType::kFloat32;
  kernels::IndexType index_type = kernels::IndexType::kInt64;
  std::vector<std::int64_t> indices;

  [[nodiscard]] std::int64_t num_indices() const {
    return static_cast<std::int64_t>(indices.size());
  }
  [[nodiscard]] std::int64_t row_bytes() const { return dim * kernels::elem_bytes(elem_type); }
  [[nodiscard]] std::int64_t index_bytes() const {
    return index_type == kernels::IndexType::kInt32 ? 4 : 8;
  }
  [[nodiscard]] bool has_atomic() const {
    return elem_type == kernels::ElemType::kFloat32 || elem_type == kernels::ElemType::kFloat64;
  }
};

struct Traffic {
  std::int64_t launches = 0;
  std::int64_t dram_read_bytes = 0;
  std::int64_t dram_write_bytes = 0;
  // The fewest that an algorithm of this kind can move (floors.h).
  std::int64_t floor_bytes = 0;
  // Useful share of the bytes in the sectors that warps touched; unknown by formula.
  std::optional<double> sector_use;
  std::int64_t longest_atomic_chain = 0;
  // Cold L2, from the roofline of the emulated device: a model.
  double modelled_us = 0;
  // The launch that takes longest, and the term that it is bound by.
  std::string slowest;
  // What all of this is taken from; empty by formula.
  simt::emulated::Counts counts;

  [[nodiscard]] std::int64_t dram_bytes() const { return dram_read_bytes + dram_write_bytes; }
  [[nodiscard]] double times_floor() const {
    return static_cast<double>(dram_bytes()) / static_cast<double>(floor_bytes);
  }
};

Traffic summarize(const simt::emulated::Counts& counts, std::int64_t floor_bytes);

// Runs the kernels on memory of the emulated device, with the options in force there and a cold L2.
// Throws std::runtime_error with the kernels' own message when one fails.
class TrafficMeter {
 public:
  // `problem` must outlive the meter.
  explicit TrafficMeter(const TrafficProblem& problem);
  ~TrafficMeter();
  TrafficMeter(const TrafficMeter&) = delete;
  TrafficMeter& operator=(const TrafficMeter&) = delete;

  [[nodiscard]] Traffic forward() const;
  // What kAuto makes the dense gradient by.
  [[nodiscard]] kernels::ChosenBackward chosen() const;
  // The dense gradient.
  [[nodiscard]] Traffic backward(kernels::BackwardRequest request,
                                 const kernels::Tuning& tuning = {}) const;
  // The row gradient: sorted, as kAuto makes it.
  [[nodiscard]] Traffic row_gradient() const;
  // An optimizer's step by the gradients of the look-ups, fused: no gradient of the table. kSgd has
  // no momentum; what kAdam keeps is float, and no row has a step of its own.
  [[nodiscard]] Traffic step(kernels::StepRule rule) const;

 private:
  [[nodiscard]] kernels::BackwardProblem backward_problem(kernels::RowTarget target) const;
  [[nodiscard]] Traffic measure_backward(const kernels::BackwardProblem& problem,
                                         kernels::BackwardRequest request,
                                         const kernels::Tuning& tuning,
                                         std::int64_t floor_bytes) const;

  const TrafficProblem& problem_;
  void* table_;  // and its gradient
  void* indices_;
  void* output_;  // and its gradient
};

}  // namespace rowlane::bench
