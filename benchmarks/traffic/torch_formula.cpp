#include "traffic/torch_formula.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cuda/policy.h"
#include "cuda/simt/emulated/options.h"
#include "traffic/floors.h"
#include "traffic/formula.h"

namespace rowlane::bench {
namespace {

namespace emulated = simt::emulated;
using emulated::LaunchCounts;
using kernels::ceil_div;

constexpr std::int64_t kWarp = 32;
// Indices up to which the backward is one kernel.
constexpr std::int64_t kMaxOneKernel = 3072;
// Gradient rows of one partial sum.
constexpr std::int64_t kRowsPerPartial = 10;
constexpr std::int64_t kMaxBlockThreads = 1024;
constexpr std::int64_t kPartialBytes = 4;  // float

constexpr std::int64_t kSector = emulated::kSectorBytes;

// What the formulas need to know.
struct Sizes {
  explicit Sizes(const TrafficProblem& problem)
      : num_indices(problem.num_indices()),
        index_bytes(problem.index_bytes()),
        row_bytes(problem.row_bytes()),
        table_bytes(problem.num_rows * problem.row_bytes()),
        warps_per_row(ceil_div(problem.dim, kWarp)),
        max_segments(std::min(problem.num_indices(), problem.num_rows)) {
    std::vector<std::int64_t> look_ups(static_cast<std::size_t>(problem.num_rows));
    for (const std::int64_t row : problem.indices) {
      ++look_ups[static_cast<std::size_t>(row)];
    }
    for (const std::int64_t count : look_ups) {
      num_segments += count > 0 ? 1 : 0;
      num_partials += ceil_div(count, kRowsPerPartial);
      most_partials = std::max(most_partials, ceil_div(count, kRowsPerPartial));
      most_rows = std::max(most_rows, std::min(count, kRowsPerPartial));
    }
    block_threads = std::min(kMaxBlockThreads, warps_per_row * kWarp);
  }

  // Blocks of one thread for each feature, padded to warps, of this many rows.
  [[nodiscard]] std::int64_t blocks_for(std::int64_t rows) const {
    return ceil_div(rows * warps_per_row * kWarp, block_threads);
  }

  std::int64_t num_indices;
  std::int64_t index_bytes;
  std::int64_t row_bytes;
  std::int64_t table_bytes;
  std::int64_t warps_per_row;
  std::int64_t max_segments;  // that the grids are made for
  std::int64_t block_threads = 0;
  std::int64_t num_segments = 0;
  std::int64_t num_partials = 0;
  std::int64_t most_partials = 0;  // of one segment
  std::int64_t most_rows = 0;      // of one partial sum
};

// Rows written after the zero fill of the whole table: once more where it outgrows the L2.
std::int64_t rewritten_bytes(const Sizes& sizes) {
  return fits_l2(sizes.table_bytes) ? 0 : sizes.num_segments * sizes.row_bytes;
}

LaunchCounts zero_fill(const Sizes& sizes) { return launch_of("zeros", 0, sizes.table_bytes); }

// Each block owns 32 features and walks along all indices, 32 at a time, two barriers each.
std::vector<LaunchCounts> one_kernel(const Sizes& sizes) {
  const std::int64_t chunks = ceil_div(sizes.num_indices, kWarp);
  LaunchCounts walk =
      launch_of("embedding_backward_feature_kernel",
                sizes.num_indices * (sizes.row_bytes + sizes.index_bytes) + rewritten_bytes(sizes),
                rewritten_bytes(sizes));
  add_hits(walk, (sizes.warps_per_row - 1) * sizes.num_indices * sizes.index_bytes);
  walk.blocks = sizes.warps_per_row;
  walk.block_threads = static_cast<int>(kMaxBlockThreads);
  // A gradient row, then the table's row; and the indices of each 1024.
  walk.longest_load_chain = 2 * chunks + ceil_div(sizes.num_indices, kMaxBlockThreads);
  walk.load_rounds = walk.longest_load_chain * walk.blocks * (kMaxBlockThreads / kWarp);
  walk.load_requests = walk.load_rounds;
  return {zero_fill(sizes), walk};
}

// Positions and sorted rows, the segments among them, and the partial sums of each.
std::vector<LaunchCounts> find_segments(const TrafficProblem& problem, const Sizes& sizes) {
  const std::int64_t list = sizes.num_indices * sizes.index_bytes;
  const std::int64_t segments = sizes.num_segments * sizes.index_bytes;
  // torch 2.11 sorts by all bits of an index; later versions by those that the table needs.
  std::vector<LaunchCounts> launches = full_width_sort(problem);
  launches.push_back(launch_of("arange", 0, list));
  LaunchCounts unique = launch_of("unique_by_key", list, 2 * segments);
  unique.launches = 2;
  launches.push_back(unique);
  launches.push_back(launch_of("krn_partials_per_segment", segments, segments));
  LaunchCounts scan = launch_of("exclusive_sum", segments, segments);
  scan.launches = 2;
  launches.push_back(scan);
  launches.push_back(launch_of("compute_num_of_partial_segments", kSector, kSector));
  launches.push_back(launch_of("krn_partial_segment_offset", 3 * segments,
                               sizes.num_partials * sizes.index_bytes));
  return launches;
}

// One thread per feature adds up to ten gradient rows; a position is loaded before each row.
LaunchCounts partial_sums(const char* name, const Sizes& sizes) {
  LaunchCounts sums = launch_of(name,
                                sizes.num_indices * (sizes.row_bytes + sizes.index_bytes) +
                                    sizes.num_partials * sizes.index_bytes,
                                0);
  add_hits(sums, (sizes.warps_per_row - 1) * sizes.num_indices * sizes.index_bytes);
  sums.blocks = sizes.blocks_for(sizes.num_indices / kRowsPerPartial + sizes.max_segments);
  sums.block_threads = static_cast<int>(sizes.block_threads);
  sums.longest_load_chain = 2 + sizes.most_rows;
  sums.load_rounds = (2 * sizes.num_partials + sizes.num_indices) * sizes.warps_per_row;
  sums.load_requests = 2 * sizes.num_indices * sizes.warps_per_row;
  return sums;
}

std::int64_t partials_bytes(const TrafficProblem& problem, const Sizes& sizes) {
  return sizes.num_partials * problem.dim * kPartialBytes;
}

std::vector<LaunchCounts> sums_of_partial_sums(const TrafficProblem& problem, const Sizes& sizes) {
  const std::int64_t partials = partials_bytes(problem, sizes);
  LaunchCounts sums = partial_sums("compute_grad_weight", sizes);
  sums.l2.dram_write_bytes += partials;
  sums.l2.write_sectors += ceil_div(partials, kSector);
  sums.store_requests = sizes.num_partials * sizes.warps_per_row;

  const std::int64_t missed = fits_l2(partials) ? 0 : partials;
  LaunchCounts scatter = launch_of("sum_and_scatter", missed, rewritten_bytes(sizes));
  add_hits(scatter, partials - missed);
  scatter.blocks = sizes.blocks_for(sizes.max_segments);
  scatter.block_threads = static_cast<int>(sizes.block_threads);
  scatter.longest_load_chain = 3 + ceil_div(sizes.most_partials, kUnroll);
  scatter.load_rounds =
      (3 * sizes.num_segments + ceil_div(sizes.num_partials, kUnroll)) * sizes.warps_per_row;
  scatter.load_requests = sizes.num_partials * sizes.warps_per_row;
  scatter.store_requests = sizes.num_segments * sizes.warps_per_row;
  return {zero_fill(sizes), sums, scatter};
}

std::vector<LaunchCounts> atomic_partial_sums(const TrafficProblem& problem, const Sizes& sizes) {
  LaunchCounts sums = partial_sums("fused partial sums", sizes);
  sums.l2.atomic_sectors = ceil_div(partials_bytes(problem, sizes), kSector);
  sums.l2.hit_sectors += sums.l2.atomic_sectors;
  sums.l2.longest_atomic_chain = sizes.most_partials;
  sums.atomic_requests = sizes.num_partials * sizes.warps_per_row;
  sums.l2.dram_read_bytes += rewritten_bytes(sizes);
  sums.l2.dram_write_bytes += rewritten_bytes(sizes);
  if (problem.has_atomic()) {
    return {zero_fill(sizes), sums};
  }
  // 16-bit types are summed in a table of floats, which is copied in the end.
  const std::int64_t wide_bytes = problem.num_rows * problem.dim * kPartialBytes;
  LaunchCounts copy = launch_of("copy", fits_l2(wide_bytes) ? 0 : wide_bytes, sizes.table_bytes);
  return {launch_of("zeros", 0, wide_bytes), sums, copy};
}

// Few and large segments, whose sums would keep few threads busy.
bool is_atomic(const Sizes& sizes) {
  const std::int64_t num_sms = emulated::options().device->info.num_sms;
  const std::int64_t segment_blocks = sizes.blocks_for(sizes.max_segments);
  const std::int64_t partial_blocks =
      sizes.blocks_for(sizes.num_indices / kRowsPerPartial + sizes.max_segments);
  return segment_blocks < 4 * num_sms && partial_blocks > 4 * segment_blocks;
}

}  // namespace

Traffic torch_forward(const TrafficProblem& problem) {
  constexpr std::int64_t kVecBytes = 16;
  const emulated::L2Traffic ideal = ideal_gather(problem);
  const std::int64_t n = problem.num_indices();
  LaunchCounts gather{.name = "vectorized_gather_kernel", .launches = 1};
  gather.l2 = ideal;
  gather.sectors = ideal.sectors();
  if (problem.row_bytes() % kVecBytes == 0) {
    const std::int64_t accesses = problem.row_bytes() / kVecBytes;
    const std::int64_t warps = std::min<std::int64_t>(8, ceil_div(accesses, kWarp));
    const std::int64_t steps = ceil_div(accesses, warps * kWarp);
    gather.blocks = n;
    gather.block_threads = static_cast<int>(warps * kWarp);
    gather.longest_load_chain = 1 + steps;
    gather.load_rounds = n * warps * (1 + steps);
    gather.load_requests = gather.load_rounds;
    gather.store_requests = n * warps * steps;
  } else {
    // 128 threads of eight elements each; an index is loaded for each element.
    constexpr std::int64_t kThreads = 128;
    constexpr std::int64_t kElems = 8;
    const std::int64_t num_elems = n * problem.dim;
    gather.name = "_scatter_gather_elementwise_kernel";
    gather.blocks = ceil_div(num_elems, kThreads * kElems);
    gather.block_threads = static_cast<int>(kThreads);
    gather.longest_load_chain = 2 * kElems;
    gather.load_rounds = gather.load_requests = 2 * ceil_div(num_elems, kWarp);
    gather.store_requests = ceil_div(num_elems, kWarp);
  }
  return summarize_launches({gather}, ideal.dram_bytes());
}

TorchBackward torch_backward(const TrafficProblem& problem) {
  const Sizes sizes(problem);
  const std::int64_t floor = backward_floor_bytes(problem);
  if (sizes.num_indices <= kMaxOneKernel) {
    return {summarize_launches(one_kernel(sizes), floor), "in one kernel"};
  }
  const bool atomic = is_atomic(sizes);
  std::vector<LaunchCounts> launches = find_segments(problem, sizes);
  for (LaunchCounts& launch :
       atomic ? atomic_partial_sums(problem, sizes) : sums_of_partial_sums(problem, sizes)) {
    launches.push_back(std::move(launch));
  }
  return {summarize_launches(std::move(launches), floor + sort_floor_bytes(problem)),
          atomic ? "sorted, then atomic" : "sorted"};
}

}  // namespace rowlane::bench
