// What the emulated device counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/simt/emulated/device_model.h"
#include "cuda/simt/emulated/l2_model.h"

namespace rowlane::simt::emulated {

// The counts of one call in one kernel's source. A request is one instruction of one warp, as
// rebuilt from what its lanes did.
struct SiteCounts {
  std::string place;  // file:line
  std::string kernel;
  MemoryOp op = MemoryOp::kLoad;
  bool shared = false;
  std::int64_t requests = 0;
  std::int64_t lanes = 0;         // that took part, summed over the requests
  std::int64_t sectors = 0;       // of 32 bytes (global memory)
  std::int64_t useful_bytes = 0;  // in those sectors (global memory)
  std::int64_t shared_passes = 0;

  friend bool operator==(const SiteCounts&, const SiteCounts&) = default;
};

// The counts of one launch, or of several added up.
struct LaunchCounts {
  std::string name;
  std::int64_t launches = 0;
  std::int64_t blocks = 0;
  std::int64_t threads = 0;
  int block_threads = 0;
  std::int64_t shared_bytes_per_block = 0;

  // Global memory, as the warps ask for it.
  std::int64_t load_requests = 0;
  std::int64_t store_requests = 0;
  std::int64_t atomic_requests = 0;
  std::int64_t divergent_requests = 0;  // in which not all threads of the warp took part
  std::int64_t sectors = 0;
  std::int64_t useful_bytes = 0;  // distinct bytes that a request asked for
  std::int64_t atomic_lanes = 0;  // that took part in atomic requests
  std::int64_t max_block_requests = 0;
  std::int64_t max_warp_requests = 0;

  // Beyond the SM.
  L2Traffic l2{};

  // Estimates of latency (warp_timeline.h): how often a warp waits for loads, summed over all
  // warps, and for the warp that waits most often.
  std::int64_t load_rounds = 0;
  std::int64_t longest_load_chain = 0;

  std::int64_t shared_requests = 0;
  std::int64_t shared_bank_conflicts = 0;  // passes beyond those that the bytes need

  // DRAM traffic by formula, of library calls that are not executed (included in l2 as well).
  std::int64_t library_bytes = 0;

  [[nodiscard]] std::int64_t requests() const {
    return load_requests + store_requests + atomic_requests;
  }
  [[nodiscard]] double mean_block_requests() const {
    return blocks == 0 ? 0 : static_cast<double>(requests()) / static_cast<double>(blocks);
  }
  // Useful share of the bytes in the sectors that the warps touched.
  [[nodiscard]] double sector_use() const {
    return sectors == 0 ? 1
                        : static_cast<double>(useful_bytes) / (32.0 * static_cast<double>(sectors));
  }
  void add(const LaunchCounts& other);
  friend bool operator==(const LaunchCounts&, const LaunchCounts&) = default;
};

// The counts of a measurement. Everything but the device's name is exact: run twice, the numbers
// are the same, on any number of host threads.
struct Counts {
  const DeviceModel* device = nullptr;
  double l2_scale = 1;                 // says whether the run was scaled
  std::vector<LaunchCounts> launches;  // in order
  std::vector<SiteCounts> sites;       // by kernel and place

  [[nodiscard]] LaunchCounts total() const;
  // The launches of one name added up.
  [[nodiscard]] LaunchCounts kernel(std::string_view name) const;

  friend bool operator==(const Counts&, const Counts&) = default;
};

// For people: a line for each kernel, one for the total, and the device.
std::string to_string(const Counts& counts);

}  // namespace rowlane::simt::emulated
