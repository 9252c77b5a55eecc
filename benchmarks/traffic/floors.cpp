#include "traffic/floors.h"

#include <algorithm>
#include <bit>

#include "cuda/simt/emulated/options.h"

namespace rowlane::bench {
namespace {

// Pairs that CUB sorts in one block: 256 threads of 19.
constexpr std::int64_t kSingleTilePairs = 256 * 19;

}  // namespace

simt::emulated::L2Model make_l2() {
  const simt::emulated::Options& options = simt::emulated::options();
  const double bytes = static_cast<double>(options.device->info.l2_bytes) * options.l2_scale;
  return simt::emulated::L2Model(static_cast<std::int64_t>(bytes), options.dram_fetch_bytes);
}

simt::emulated::L2Traffic ideal_gather(const TrafficProblem& problem) {
  constexpr std::uint64_t kAlignment = 256;
  const auto row_bytes = static_cast<std::uint64_t>(problem.row_bytes());
  const auto index_bytes = static_cast<std::uint64_t>(problem.index_bytes());
  const auto after = [](std::uint64_t begin, std::uint64_t bytes) {
    return (begin + bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  const std::uint64_t num_indices = problem.indices.size();
  const std::uint64_t table = 0;
  const std::uint64_t indices =
      after(table, static_cast<std::uint64_t>(problem.num_rows) * row_bytes);
  const std::uint64_t output = after(indices, num_indices * index_bytes);
  simt::emulated::L2Model l2 = make_l2();
  for (std::uint64_t i = 0; i < num_indices; ++i) {
    const auto row = static_cast<std::uint64_t>(problem.indices[i]);
    l2.read(indices + i * index_bytes, problem.index_bytes());
    l2.read(table + row * row_bytes, problem.row_bytes());
    l2.write(output + i * row_bytes, problem.row_bytes());
  }
  l2.write_back();
  return l2.total();
}

std::int64_t distinct_gather_bytes(const TrafficProblem& problem) {
  const std::int64_t num_rows = count_row_use(problem).num_distinct + problem.num_indices();
  return num_rows * problem.row_bytes() + problem.num_indices() * problem.index_bytes();
}

std::int64_t backward_floor_bytes(const TrafficProblem& problem) {
  return (problem.num_indices() + problem.num_rows) * problem.row_bytes() +
         problem.num_indices() * problem.index_bytes();
}

std::int64_t row_gradient_floor_bytes(const TrafficProblem& problem) {
  constexpr std::int64_t kRowNumberBytes = 8;
  const std::int64_t num_distinct = count_row_use(problem).num_distinct;
  return (problem.num_indices() + num_distinct) * problem.row_bytes() +
         problem.num_indices() * problem.index_bytes() + num_distinct * kRowNumberBytes;
}

std::int64_t step_floor_bytes(const TrafficProblem& problem, std::int64_t row_bytes) {
  return problem.num_indices() * (problem.row_bytes() + problem.index_bytes()) +
         2 * count_row_use(problem).num_distinct * row_bytes;
}

std::int64_t sort_floor_bytes(const TrafficProblem& problem) {
  constexpr std::int64_t kKeyBytes = 4;
  constexpr std::int64_t kPairBytes = 8;
  const std::int64_t n = problem.num_indices();
  if (n <= kSingleTilePairs) {
    return 2 * n * kPairBytes;
  }
  const auto bits =
      static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(problem.num_rows - 1)));
  const std::int64_t passes = std::max<std::int64_t>(1, (bits + 7) / 8);
  return n * kKeyBytes + 2 * passes * n * kPairBytes;
}

RowUse count_row_use(const TrafficProblem& problem) {
  std::vector<std::int64_t> look_ups(static_cast<std::size_t>(problem.num_rows));
  RowUse use;
  for (const std::int64_t row : problem.indices) {
    std::int64_t& count = look_ups[static_cast<std::size_t>(row)];
    use.num_distinct += count == 0 ? 1 : 0;
    use.most_look_ups = std::max(use.most_look_ups, ++count);
  }
  return use;
}

}  // namespace rowlane::bench
