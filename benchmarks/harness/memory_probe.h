// How much tensor memory a piece of code holds at its peak.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace rowlane::bench {

// Runs `run` and returns the most bytes that its tensors on `device` occupied at one time, on top
// of those that existed before. Allocations in autograd's threads count, too.
std::int64_t measure_peak_bytes(const std::function<void()>& run, at::Device device);

// Bytes that can be allocated without swapping, where the system says.
std::optional<std::int64_t> available_bytes(at::Device device);

}  // namespace rowlane::bench
