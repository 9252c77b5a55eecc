#include "cuda/simt/emulated/time_model.h"

#include <algorithm>
#include <utility>

namespace rowlane::simt::emulated {
namespace {

constexpr double kMicroseconds = 1e6;
constexpr double kBytesPerClockOfL1 = 128;

double resident_warps(const LaunchCounts& launch, const DeviceModel& device) {
  const std::int64_t warps_per_block = (launch.block_threads + 31) / 32;
  std::int64_t blocks_per_sm = std::min<std::int64_t>(
      device.max_blocks_per_sm, device.info.max_threads_per_sm / (warps_per_block * 32));
  if (launch.shared_bytes_per_block > 0) {
    blocks_per_sm =
        std::min(blocks_per_sm, device.shared_bytes_per_sm / launch.shared_bytes_per_block);
  }
  const std::int64_t blocks =
      std::min(launch.blocks, std::max<std::int64_t>(1, blocks_per_sm) * device.info.num_sms);
  return static_cast<double>(blocks * warps_per_block);
}

// The latency of a load that leaves the SM.
double mean_latency_s(const L2Traffic& traffic, const DeviceModel& device) {
  const auto loads = static_cast<double>(traffic.read_sectors + traffic.atomic_sectors);
  const double hits = loads == 0 ? 0 : static_cast<double>(traffic.hit_sectors) / loads;
  return hits * device.l2_latency_s + (1 - hits) * device.dram_latency_s;
}

}  // namespace

ModelledTime modelled_time(const LaunchCounts& launch, const DeviceModel& device) {
  ModelledTime time;
  const auto us = [](auto count, double per_second) {
    return static_cast<double>(count) / per_second * kMicroseconds;
  };
  const double sm_clocks_per_s = device.info.num_sms * device.clock_hz;
  time.launch_us = static_cast<double>(launch.launches) * device.launch_s * kMicroseconds;
  time.dram_us = us(launch.l2.dram_bytes(), device.dram_bytes_per_s);
  time.l2_us = us(launch.l2.sectors() * kSectorBytes, device.l2_bytes_per_s);
  time.atomic_rate_us = us(launch.l2.atomic_sectors, device.atomic_sectors_per_s);
  time.atomic_chain_us =
      static_cast<double>(launch.l2.longest_atomic_chain) * device.same_address_s * kMicroseconds;
  time.issue_us =
      std::max({us(launch.requests() + launch.shared_requests, sm_clocks_per_s),
                us(launch.shared_requests + launch.shared_bank_conflicts, sm_clocks_per_s),
                us(launch.sectors * kSectorBytes, sm_clocks_per_s * kBytesPerClockOfL1)});
  const double latency_us = mean_latency_s(launch.l2, device) * kMicroseconds;
  time.load_chain_us = static_cast<double>(launch.longest_load_chain) * latency_us;
  if (launch.blocks > 0) {
    time.in_flight_us =
        static_cast<double>(launch.load_rounds) * latency_us / resident_warps(launch, device);
  }

  const std::pair<double, const char*> terms[] = {
      {time.dram_us, "DRAM bandwidth"},
      {time.l2_us, "L2 bandwidth"},
      {time.atomic_rate_us, "atomic rate"},
      {time.atomic_chain_us, "atomics on one address"},
      {time.issue_us, "issue"},
      {time.load_chain_us, "dependent loads"},
      {time.in_flight_us, "loads in flight"},
  };
  const auto& slowest =
      *std::max_element(std::begin(terms), std::end(terms),
                        [](const auto& a, const auto& b) { return a.first < b.first; });
  time.bound_by = slowest.first < time.launch_us ? "launch" : slowest.second;
  time.total_us = time.launch_us + slowest.first;
  return time;
}

double modelled_us(const Counts& counts) {
  double sum = 0;
  for (const LaunchCounts& launch : counts.launches) {
    sum += modelled_time(launch, *counts.device).total_us;
  }
  return sum;
}

}  // namespace rowlane::simt::emulated
