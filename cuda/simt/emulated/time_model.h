// How long a launch would take on a device: a model, never a measurement.
//
// A roofline. A launch takes its fixed cost and then as long as the slowest of these:
//   DRAM      bytes / bandwidth
//   L2        sectors / bandwidth
//   atomics   sectors / rate of the L2; and the longest chain on one sector, one after another
//   issue     per SM and clock one memory instruction, one pass of shared memory, 128 bytes
//   latency   the longest chain of dependent loads of one warp; and all rounds of loads, as many
//             at a time as warps are resident (bytes in flight against bandwidth * latency)
//
// Registers are unknown to the emulator, so residency counts threads, blocks and shared memory
// only: too many warps for a kernel that needs more than 32 registers. Arithmetic is not modelled.
#pragma once

#include "cuda/simt/emulated/counts.h"
#include "cuda/simt/emulated/device_model.h"

namespace rowlane::simt::emulated {

struct ModelledTime {
  double launch_us = 0;
  double dram_us = 0;
  double l2_us = 0;
  double atomic_rate_us = 0;
  double atomic_chain_us = 0;
  double issue_us = 0;
  double load_chain_us = 0;
  double in_flight_us = 0;
  double total_us = 0;
  const char* bound_by = "";  // the largest term
};

// The time of one launch.
ModelledTime modelled_time(const LaunchCounts& launch, const DeviceModel& device);

// The time of all launches, one after the other, on the device that they were counted for.
double modelled_us(const Counts& counts);

}  // namespace rowlane::simt::emulated
