// The formulas for other libraries' backward, on problems whose bytes are known.
#include "traffic/peer_formula.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cuda/simt/emulated/options.h"
#include "traffic/formula.h"
#include "workloads/index_law.h"

namespace rowlane::bench {
namespace {

using kernels::ElemType;

TrafficProblem all_on_one_row(std::int64_t num_indices) {
  return {.num_rows = 100,
          .dim = 32,
          .indices = std::vector<std::int64_t>(static_cast<std::size_t>(num_indices), 7)};
}

TEST(LigerFormula, FillsWithZerosAndAddsEveryRow) {
  const Traffic traffic = liger_backward(
      {.num_rows = 100, .dim = 8, .elem_type = ElemType::kBFloat16, .indices = {3, 50, 3}});
  EXPECT_EQ(traffic.launches, 2);
  EXPECT_EQ(traffic.dram_write_bytes, 100 * 16);
  EXPECT_EQ(traffic.dram_read_bytes, 3 * (16 + 8));
  EXPECT_EQ(traffic.longest_atomic_chain, 2);
  EXPECT_EQ(traffic.counts.launches.back().l2.atomic_sectors, 2);  // 48 bytes
}

TEST(LigerFormula, ReadsAndWritesARowOnceMoreWhereTheTableOutgrowsTheCache) {
  const simt::emulated::ScopedOptions options;
  options->l2_scale = 1e-5;
  const Traffic traffic = liger_backward({.num_rows = 100, .dim = 8, .indices = {3, 50, 3}});
  EXPECT_EQ(traffic.dram_write_bytes, (100 + 2) * 32);
  EXPECT_EQ(traffic.dram_read_bytes, 3 * (32 + 8) + 2 * 32);
}

// Rowlane's own atomic backward is the same algorithm, and is counted.
TEST(LigerFormula, MovesWhatRowlanesAtomicBackwardDoes) {
  for (const double l2_scale : {1.0, 1.0 / 64}) {
    const simt::emulated::ScopedOptions options;
    options->l2_scale = l2_scale;
    const TrafficProblem problem{
        .num_rows = 20000, .dim = 64, .indices = draw_indices(kUniform, 20000, 4096)};
    const Traffic counted = TrafficMeter(problem).backward(kernels::BackwardRequest::kAtomic);
    const Traffic formula = liger_backward(problem);
    EXPECT_NEAR(
        static_cast<double>(formula.dram_bytes()) / static_cast<double>(counted.dram_bytes()), 1.0,
        0.02)
        << "L2 scaled by " << l2_scale;
    EXPECT_EQ(formula.counts.total().l2.atomic_sectors, counted.counts.total().l2.atomic_sectors);
    EXPECT_EQ(formula.longest_atomic_chain, counted.longest_atomic_chain);
  }
}

TEST(CuEmbedFormula, SortsByAllBitsOfAnIndex) {
  const TrafficProblem problem{
      .num_rows = 20000, .dim = 64, .indices = draw_indices(kUniform, 20000, 65536)};
  const Traffic sort = summarize_launches(full_width_sort(problem), 1);
  const Traffic traffic = cuembed_backward(problem).value();
  EXPECT_EQ(traffic.launches, sort.launches + 3);
  // Eight passes read and write pairs of 16 bytes, the first reads the keys once more.
  EXPECT_EQ(sort.dram_bytes(), 65536 * (8 + 2 * 8 * 16));
  EXPECT_EQ(traffic.dram_bytes() - sort.dram_bytes(),
            65536 * 8 + 20000 * 256 + 65536 * (256 + 2 * 8));
}

TEST(CuEmbedFormula, AddsTheEndsOfAPieceAtomically) {
  // Pieces of 8, each within the one row.
  EXPECT_EQ(cuembed_backward(all_on_one_row(800))->longest_atomic_chain, 100);
  // Pieces of 8 of different rows: two of them are added, six stored.
  std::vector<std::int64_t> all_different(80);
  for (std::size_t i = 0; i < all_different.size(); ++i) {
    all_different[i] = static_cast<std::int64_t>(79 - i);
  }
  const Traffic traffic =
      cuembed_backward({.num_rows = 80, .dim = 8, .indices = all_different}).value();
  EXPECT_EQ(traffic.longest_atomic_chain, 1);
  EXPECT_EQ(traffic.counts.launches.back().l2.atomic_sectors, 20);
  EXPECT_EQ(traffic.counts.launches.back().l2.write_sectors, 60);
  // Enough indices for pieces of 128: 0.4 * 132 * 2048 threads, 8 of them to a row.
  const std::int64_t num_indices = 128 * 13517;
  EXPECT_EQ(cuembed_backward(all_on_one_row(num_indices))->longest_atomic_chain, 13517);
}

TEST(CuEmbedFormula, HasNothingForRowsThatCuEmbedDoesNotTake) {
  TrafficProblem problem{.num_rows = 10, .dim = 4096, .indices = {1, 2}};
  EXPECT_TRUE(cuembed_backward(problem).has_value());
  problem.dim = 4097;
  EXPECT_FALSE(cuembed_backward(problem).has_value());
  problem.dim = 2;
  problem.elem_type = ElemType::kBFloat16;
  EXPECT_FALSE(cuembed_backward(problem).has_value());
  problem.elem_type = ElemType::kFloat16;
  EXPECT_TRUE(cuembed_backward(problem).has_value());
  problem.dim = 3;
  EXPECT_FALSE(cuembed_backward(problem).has_value());
}

}  // namespace
}  // namespace rowlane::bench
