#include "traffic/formula.h"

#include <utility>

#include "cuda/policy.h"
#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/simt.cuh"
#include "cuda/simt/sort.cuh"

namespace rowlane::bench {

namespace emulated = simt::emulated;
using emulated::LaunchCounts;
using kernels::ceil_div;

constexpr std::int64_t kSector = emulated::kSectorBytes;

LaunchCounts launch_of(std::string name, std::int64_t read_bytes, std::int64_t write_bytes) {
  LaunchCounts launch{.name = std::move(name), .launches = 1};
  launch.l2.read_sectors = ceil_div(read_bytes, kSector);
  launch.l2.write_sectors = ceil_div(write_bytes, kSector);
  launch.l2.dram_read_bytes = read_bytes;
  launch.l2.dram_write_bytes = write_bytes;
  launch.sectors = launch.l2.sectors();
  return launch;
}

void add_hits(LaunchCounts& launch, std::int64_t bytes) {
  launch.l2.read_sectors += ceil_div(bytes, kSector);
  launch.l2.hit_sectors += ceil_div(bytes, kSector);
  launch.sectors += ceil_div(bytes, kSector);
}

bool fits_l2(std::int64_t bytes) {
  const emulated::Options& options = emulated::options();
  return static_cast<double>(bytes) <=
         static_cast<double>(options.device->info.l2_bytes) * options.l2_scale;
}

std::vector<LaunchCounts> full_width_sort(const TrafficProblem& problem) {
  const std::int64_t index_bytes = problem.index_bytes();
  const emulated::Counts sort = emulated::measure([&] {
    emulated::count_sort(problem.num_indices(), static_cast<int>(8 * index_bytes), index_bytes,
                         index_bytes);
  });
  return sort.launches;
}

Traffic summarize_launches(std::vector<LaunchCounts> launches, std::int64_t floor_bytes) {
  emulated::Counts counts;
  counts.device = emulated::options().device;
  counts.l2_scale = emulated::options().l2_scale;
  counts.launches = std::move(launches);
  Traffic traffic = summarize(counts, floor_bytes);
  traffic.sector_use.reset();
  return traffic;
}

}  // namespace rowlane::bench
