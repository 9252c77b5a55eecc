// What the formulas for other libraries' kernels share: bytes and launches follow from a problem
// and its indices, and the time from the same roofline that the emulated device uses for Rowlane's
// kernels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simt/emulated/counts.h"
#include "traffic/traffic.h"

namespace rowlane::bench {

// Loads that a compiler has under way in a loop that it unrolls.
inline constexpr std::int64_t kUnroll = 4;

// A launch with this traffic; what it reads is a miss unless said otherwise.
simt::emulated::LaunchCounts launch_of(std::string name, std::int64_t read_bytes,
                                       std::int64_t write_bytes);

// Reads that the L2 serves.
void add_hits(simt::emulated::LaunchCounts& launch, std::int64_t bytes);

// Whether this much stays in the L2 from one launch to the next.
bool fits_l2(std::int64_t bytes);

// The launches of the device-wide radix sort of a problem's indices and their positions, both as
// wide as an index, by all bits of it.
std::vector<simt::emulated::LaunchCounts> full_width_sort(const TrafficProblem& problem);

Traffic summarize_launches(std::vector<simt::emulated::LaunchCounts> launches,
                           std::int64_t floor_bytes);

}  // namespace rowlane::bench
