// Finds where one algorithm becomes faster than another on a device.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "cuda/backward.h"
#include "cuda/tuning.h"

namespace rowlane::bench {

// A dense gradient of float32, looked up by int64 indices.
struct TuneProblem {
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::vector<std::int64_t> indices;

  [[nodiscard]] std::int64_t num_indices() const {
    return static_cast<std::int64_t>(indices.size());
  }
};

// Times a backward in microseconds. Throws std::runtime_error when the device fails.
using TimeBackward = std::function<double(
    const TuneProblem& problem, kernels::BackwardRequest request, const kernels::Tuning& tuning)>;

// The device that a program was built for.
struct TuneDevice {
  std::string name;
  TimeBackward time;
};
// `model` names a device of the emulator and is ignored elsewhere.
TuneDevice open_device(const std::string& model);

// Compares the algorithms at growing numbers of indices, as geometric means over several tables and
// laws of the indices, prints each comparison to `out`, and returns the last sizes at which the one
// for few indices took no longer.
kernels::Tuning tune(const TimeBackward& time, std::ostream& out);

}  // namespace rowlane::bench
