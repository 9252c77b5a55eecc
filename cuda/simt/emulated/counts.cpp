#include "cuda/simt/emulated/counts.h"

#include <algorithm>
#include <cstdio>

#include "cuda/simt/emulated/time_model.h"

namespace rowlane::simt::emulated {

void LaunchCounts::add(const LaunchCounts& other) {
  launches += other.launches;
  blocks += other.blocks;
  threads += other.threads;
  block_threads = std::max(block_threads, other.block_threads);
  shared_bytes_per_block = std::max(shared_bytes_per_block, other.shared_bytes_per_block);
  load_requests += other.load_requests;
  store_requests += other.store_requests;
  atomic_requests += other.atomic_requests;
  divergent_requests += other.divergent_requests;
  sectors += other.sectors;
  useful_bytes += other.useful_bytes;
  atomic_lanes += other.atomic_lanes;
  max_block_requests = std::max(max_block_requests, other.max_block_requests);
  max_warp_requests = std::max(max_warp_requests, other.max_warp_requests);
  l2.add(other.l2);
  load_rounds += other.load_rounds;
  longest_load_chain = std::max(longest_load_chain, other.longest_load_chain);
  shared_requests += other.shared_requests;
  shared_bank_conflicts += other.shared_bank_conflicts;
  library_bytes += other.library_bytes;
}

LaunchCounts Counts::total() const {
  LaunchCounts sum;
  for (const LaunchCounts& launch : launches) {
    sum.add(launch);
  }
  sum.name = "total";
  return sum;
}

LaunchCounts Counts::kernel(std::string_view name) const {
  LaunchCounts sum;
  for (const LaunchCounts& launch : launches) {
    if (launch.name == name) {
      sum.add(launch);
    }
  }
  sum.name = name;
  return sum;
}

namespace {

std::string line_of(const LaunchCounts& counts, double us) {
  char text[400];
  std::snprintf(text, sizeof(text),
                "%-28s launches %-4lld requests %-10lld sectors %-10lld use %5.1f%%  DRAM read "
                "%-12lld write %-12lld chain %-8lld rounds %-5lld modelled %.1f us\n",
                counts.name.c_str(), static_cast<long long>(counts.launches),
                static_cast<long long>(counts.requests()), static_cast<long long>(counts.sectors),
                100 * counts.sector_use(), static_cast<long long>(counts.l2.dram_read_bytes),
                static_cast<long long>(counts.l2.dram_write_bytes),
                static_cast<long long>(counts.l2.longest_atomic_chain),
                static_cast<long long>(counts.longest_load_chain), us);
  return text;
}

}  // namespace

std::string to_string(const Counts& counts) {
  std::vector<std::string> names;
  for (const LaunchCounts& launch : counts.launches) {
    if (std::find(names.begin(), names.end(), launch.name) == names.end()) {
      names.push_back(launch.name);
    }
  }
  std::string text;
  for (const std::string& name : names) {
    double us = 0;
    for (const LaunchCounts& launch : counts.launches) {
      us += launch.name == name ? modelled_time(launch, *counts.device).total_us : 0;
    }
    text += line_of(counts.kernel(name), us);
  }
  char device[100];
  std::snprintf(device, sizeof(device), "on a modelled %s, its L2 scaled by %g\n",
                counts.device->name, counts.l2_scale);
  return text + line_of(counts.total(), modelled_us(counts)) + device;
}

}  // namespace rowlane::simt::emulated
