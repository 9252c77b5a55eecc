#include "traffic/peer_formula.h"

#include <algorithm>
#include <bit>
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

constexpr std::int64_t kSector = emulated::kSectorBytes;
constexpr std::int64_t kWarp = 32;

// Rows of the table that are added to, atomically and otherwise, after it was filled with zeros.
struct Additions {
  std::int64_t num_atomic = 0;       // additions of a row
  std::int64_t num_atomic_rows = 0;  // rows that they go to
  std::int64_t num_stored = 0;       // rows stored without an addition
  std::int64_t longest_chain = 0;    // additions to one row
};

// Where the table outgrew the L2, a row that is added to is read and written once more, and one
// that is stored is written once more.
void add_to_table(LaunchCounts& launch, const TrafficProblem& problem, const Additions& additions) {
  const std::int64_t row_bytes = problem.row_bytes();
  const bool is_cached = fits_l2(problem.num_rows * row_bytes);
  const std::int64_t missed_bytes = is_cached ? 0 : additions.num_atomic_rows * row_bytes;
  launch.l2.atomic_sectors = ceil_div(additions.num_atomic * row_bytes, kSector);
  launch.l2.hit_sectors += launch.l2.atomic_sectors - ceil_div(missed_bytes, kSector);
  launch.l2.longest_atomic_chain = additions.longest_chain;
  launch.l2.write_sectors += ceil_div(additions.num_stored * row_bytes, kSector);
  launch.l2.dram_read_bytes += missed_bytes;
  launch.l2.dram_write_bytes += missed_bytes + (is_cached ? 0 : additions.num_stored * row_bytes);
  launch.sectors = launch.l2.sectors();
}

LaunchCounts zero_fill(const TrafficProblem& problem) {
  return launch_of("zeros", 0, problem.num_rows * problem.row_bytes());
}

// A piece of the sorted list sums each of its runs, and adds the first and the last atomically.
Additions additions_of_pieces(const TrafficProblem& problem, std::int64_t piece) {
  std::vector<std::int64_t> sorted = problem.indices;
  std::sort(sorted.begin(), sorted.end());
  Additions additions;
  std::int64_t chain = 0;
  std::int64_t last_row = -1;
  const auto add = [&](std::int64_t row) {
    chain = row == last_row ? chain + 1 : 1;
    additions.num_atomic_rows += row == last_row ? 0 : 1;
    last_row = row;
    ++additions.num_atomic;
    additions.longest_chain = std::max(additions.longest_chain, chain);
  };
  for (auto begin = sorted.begin(); begin != sorted.end();) {
    const auto end = begin + std::min<std::int64_t>(piece, sorted.end() - begin);
    add(*begin);
    const std::int64_t first = *begin;
    const std::int64_t last = *(end - 1);
    std::int64_t num_runs = 1;
    for (auto i = begin + 1; i != end; ++i) {
      num_runs += *i != *(i - 1) ? 1 : 0;
    }
    if (last != first) {
      add(last);
    }
    additions.num_stored += std::max<std::int64_t>(0, num_runs - 2);
    begin = end;
  }
  return additions;
}

}  // namespace

std::optional<Traffic> cuembed_backward(const TrafficProblem& problem) {
  constexpr std::int64_t kMaxRowBytes = 16 << 10;
  const std::int64_t row_bytes = problem.row_bytes();
  if ((problem.elem_type != kernels::ElemType::kFloat32 &&
       problem.elem_type != kernels::ElemType::kFloat16) ||
      row_bytes % 4 != 0 || row_bytes > kMaxRowBytes) {
    return std::nullopt;
  }
  const std::int64_t n = problem.num_indices();
  const std::int64_t index_bytes = problem.index_bytes();
  // Rows are read 16 bytes at a time if they are longer than 64, else 8, else 4.
  const std::int64_t vec_bytes =
      row_bytes % 16 == 0 && row_bytes > 64 ? 16 : (row_bytes % 8 == 0 ? 8 : 4);
  const std::int64_t row_threads = row_bytes / vec_bytes;
  // Pieces are halved from 128 positions, to 8 at least, until 0.4 of the resident threads are
  // busy.
  const kernels::DeviceInfo& device = emulated::options().device->info;
  const auto enough = static_cast<std::int64_t>(0.4 * device.num_sms * device.max_threads_per_sm);
  std::int64_t piece = 128;
  while (piece > 8 && ceil_div(n, piece) * row_threads < enough) {
    piece /= 2;
  }

  // Row numbers of the look-ups, which are 0 to N here; the sort; the zeros.
  std::vector<LaunchCounts> launches{launch_of("ExtractRowIds", 0, n * index_bytes)};
  for (LaunchCounts& launch : full_width_sort(problem)) {
    launches.push_back(std::move(launch));
  }
  launches.push_back(zero_fill(problem));

  LaunchCounts backward = launch_of("EmbeddingBackward", n * (row_bytes + 2 * index_bytes), 0);
  const Additions additions = additions_of_pieces(problem, piece);
  add_to_table(backward, problem, additions);
  const std::int64_t num_pieces = ceil_div(n, piece);
  const std::int64_t piece_warps = ceil_div(row_threads, kWarp);
  // 256 threads share a block where rows leave room for more than one piece.
  const std::int64_t pieces_per_block = std::max<std::int64_t>(1, 256 / row_threads);
  backward.blocks = ceil_div(num_pieces, pieces_per_block);
  backward.block_threads = static_cast<int>(pieces_per_block * row_threads);
  // The lists are staged in shared memory first, so rows do not wait for one another.
  backward.longest_load_chain = 1 + ceil_div(piece, kUnroll);
  const std::int64_t warps = ceil_div(num_pieces * row_threads, kWarp);
  backward.load_rounds = backward.longest_load_chain * warps;
  backward.load_requests = ceil_div(n * row_threads, kWarp);
  backward.atomic_requests = additions.num_atomic * piece_warps;
  backward.store_requests = additions.num_stored * piece_warps;
  launches.push_back(std::move(backward));
  return summarize_launches(std::move(launches),
                            backward_floor_bytes(problem) + sort_floor_bytes(problem));
}

Traffic liger_backward(const TrafficProblem& problem) {
  const std::int64_t n = problem.num_indices();
  const RowUse use = count_row_use(problem);
  LaunchCounts backward =
      launch_of("embedding_backward_kernel", n * (problem.row_bytes() + problem.index_bytes()), 0);
  add_to_table(backward, problem,
               {.num_atomic = n,
                .num_atomic_rows = use.num_distinct,
                .num_stored = 0,
                .longest_chain = use.most_look_ups});
  // Square tiles of at most 128 positions and elements, by Triton's four warps.
  constexpr std::int64_t kMaxTile = 128;
  constexpr std::int64_t kThreads = 4 * kWarp;
  const auto tile = std::min<std::int64_t>(
      kMaxTile, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(problem.dim))));
  backward.blocks = ceil_div(n, tile) * ceil_div(problem.dim, tile);
  backward.block_threads = static_cast<int>(kThreads);
  // An index, then all elements of a thread.
  backward.longest_load_chain = 2;
  backward.load_rounds = 2 * backward.blocks * (kThreads / kWarp);
  const std::int64_t requests = n * ceil_div(problem.dim, kWarp);
  backward.load_requests = requests;
  backward.atomic_requests = requests;
  return summarize_launches({zero_fill(problem), backward}, backward_floor_bytes(problem));
}

const std::vector<Peer>& backward_peers() {
  static const std::vector<Peer> peers = {
      {"cuEmbed", "cuembed", "sorted, then atomic", &cuembed_backward},
      {"Liger", "liger", "atomic",
       [](const TrafficProblem& problem) { return std::optional(liger_backward(problem)); }}};
  return peers;
}

}  // namespace rowlane::bench
