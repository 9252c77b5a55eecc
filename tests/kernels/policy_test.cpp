// The pure functions that choose widths, grids, formats and algorithms.
#include "cuda/policy.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "cuda/backward.h"
#include "cuda/segment_reduce.h"

namespace rowlane::kernels {
namespace {

const DeviceInfo kH100{.num_sms = 132,
                       .compute_capability = 90,
                       .max_threads_per_sm = 2048,
                       .l2_bytes = std::int64_t{50} << 20,
                       .shared_bytes_per_block = 227 << 10};

TEST(AccessBytes, IsTheWidestThatDividesEverything) {
  EXPECT_EQ(access_bytes(0), 16);
  EXPECT_EQ(access_bytes(48), 16);
  EXPECT_EQ(access_bytes(48 | 8), 8);
  EXPECT_EQ(access_bytes(12), 4);
  EXPECT_EQ(access_bytes(6), 2);
  EXPECT_EQ(access_bytes(7), 1);
}

TEST(LanesLog2, CoversARowUpToAWarp) {
  const std::vector<std::pair<std::int64_t, int>> table{{1, 0}, {2, 1},  {3, 2},  {4, 2},
                                                        {5, 3}, {16, 4}, {17, 5}, {1000, 5}};
  for (const auto& [accesses, expected] : table) {
    EXPECT_EQ(lanes_log2(accesses), expected) << accesses;
  }
}

struct GatherCase {
  GatherProblem problem;
  GatherPolicy expected;
};

void expect_policies(const std::vector<GatherCase>& cases) {
  for (const auto& [problem, expected] : cases) {
    const GatherPolicy policy = select_gather_policy(problem, kH100);
    EXPECT_EQ(policy, expected) << problem.num_indices << " rows of " << problem.row_bytes
                                << " bytes: " << policy.vec_bytes << " bytes per load, 2^"
                                << policy.lanes_log2 << " lanes, " << policy.blocks << " blocks, "
                                << policy.slices << " slices, staged " << policy.is_staged
                                << ", streams " << policy.streams_out << ", keeps "
                                << policy.keeps_table;
  }
}

TEST(GatherPolicy, PacksShortRowsAndSplitsFewWideOnes) {
  expect_policies({
      {{.num_indices = 65536, .row_bytes = 4},
       {.vec_bytes = 4, .lanes_log2 = 0, .blocks = 64, .slices = 1}},
      {{.num_indices = 1 << 16, .row_bytes = 512},
       {.vec_bytes = 16, .lanes_log2 = 5, .blocks = 2048, .slices = 1}},
      {{.num_indices = 8192, .row_bytes = 3072},
       {.vec_bytes = 16, .lanes_log2 = 5, .blocks = 256, .slices = 2}},
      {{.num_indices = 1, .row_bytes = 8192},
       {.vec_bytes = 16, .lanes_log2 = 5, .blocks = 1, .slices = 16}},
      // The output does not start on a sector.
      {{.num_indices = 65536, .row_bytes = 200, .out_bits = 16},
       {.vec_bytes = 8, .lanes_log2 = 5, .blocks = 2048, .slices = 1}},
  });
}

TEST(GatherPolicy, StagesRowsThatAreNoWholeSectors) {
  expect_policies({
      {{.num_indices = 64, .row_bytes = 200},
       {.vec_bytes = 8, .lanes_log2 = 5, .blocks = 2, .is_staged = true}},
      {{.num_indices = 65536, .row_bytes = 12},
       {.vec_bytes = 4, .lanes_log2 = 2, .blocks = 256, .is_staged = true}},
      // Two warps to a row: a tile of 32 rows would be too large.
      {{.num_indices = 16384, .row_bytes = 1200},
       {.vec_bytes = 16, .lanes_log2 = 6, .blocks = 1024, .is_staged = true}},
      // Four warps to a row, for two blocks per SM.
      {{.num_indices = 2048, .row_bytes = 1040},
       {.vec_bytes = 16, .lanes_log2 = 7, .blocks = 256, .is_staged = true}},
      // Only the table is badly aligned.
      {{.num_indices = 65536, .row_bytes = 200, .table_bits = 2},
       {.vec_bytes = 2, .lanes_log2 = 5, .blocks = 2048, .is_staged = true}},
      // No tile both fits and ends on a sector.
      {{.num_indices = 65536, .row_bytes = 4002},
       {.vec_bytes = 2, .lanes_log2 = 5, .blocks = 2048}},
      {{.num_indices = 65536, .row_bytes = 16400},
       {.vec_bytes = 16, .lanes_log2 = 5, .blocks = 2048}},
  });
}

TEST(GatherPolicy, GivesHintsWhereTheOutputOutgrowsTheCache) {
  constexpr std::int64_t kFits = (std::int64_t{50} << 20) / 512;
  const auto hints = [](const GatherProblem& problem) {
    const GatherPolicy policy = select_gather_policy(problem, kH100);
    return std::pair(policy.streams_out, policy.keeps_table);
  };
  const GatherProblem problem{.num_rows = kFits, .num_indices = kFits + 1, .row_bytes = 512};
  EXPECT_EQ(hints(problem), std::pair(true, true));
  GatherProblem other = problem;
  other.num_rows = kFits + 1;
  EXPECT_EQ(hints(other), std::pair(true, false));
  other = problem;
  other.num_indices = kFits;
  EXPECT_EQ(hints(other), std::pair(false, false));
  // Staged rows are whole sectors together; these can't be staged.
  other = problem;
  other.row_bytes = 520;
  EXPECT_EQ(hints(other), std::pair(true, false));
  other.out_bits = 8;
  EXPECT_EQ(hints(other), std::pair(false, false));
  // Neighbouring rows of 8 bytes fill sectors.
  other = {.num_rows = 100, .num_indices = std::int64_t{1} << 24, .row_bytes = 8};
  EXPECT_EQ(hints(other), std::pair(true, true));
}

TEST(PairFormat, ComparesOnlyTheBitsThatARowNumberHas) {
  // One value more than the rows: the one that marks an entry to skip.
  EXPECT_EQ(select_pair_format(1, 10).key_bits, 1);
  EXPECT_EQ(select_pair_format(3, 10).key_bits, 2);
  EXPECT_EQ(select_pair_format(4, 10).key_bits, 3);
  EXPECT_EQ(select_pair_format(50257, 8192).key_bits, 16);
  EXPECT_EQ(select_pair_format(1'000'000, 8192).key_bits, 20);
}

TEST(PairFormat, SortsShortListsWithFewLaunches) {
  EXPECT_EQ(select_pair_format(1000, 1).method, SortMethod::kBlock);
  EXPECT_EQ(select_pair_format(1000, kMaxBlockSort).method, SortMethod::kBlock);
  EXPECT_EQ(select_pair_format(1000, kMaxBlockSort + 1).method, SortMethod::kTiles);
  EXPECT_EQ(select_pair_format(1000, kMaxTileSort).method, SortMethod::kTiles);
  EXPECT_EQ(select_pair_format(1000, kMaxTileSort + 1).method, SortMethod::kLibrary);
  EXPECT_EQ(select_pair_format(std::int64_t{1} << 33, 10).method, SortMethod::kLibrary);
}

TEST(PairFormat, HasShortDigitsWhereThereAreManyTiles) {
  EXPECT_EQ(select_pair_format(1000, 20'000).passes, 1);
  EXPECT_EQ(select_pair_format(1'000'000, 20'000).passes, 2);
  EXPECT_EQ(select_pair_format(1'000'000, kMaxTileSort).passes, 3);
  EXPECT_EQ(select_pair_format(std::int64_t{1} << 30, 20'000).passes, 4);
  EXPECT_EQ(select_pair_format(1, 20'000).passes, 1);
}

TEST(PairFormat, WidensWhereThirtyTwoBitsDoNotReach) {
  constexpr std::int64_t kLimit = (std::int64_t{1} << 32) - 1;
  EXPECT_FALSE(select_pair_format(kLimit - 1, 10).wide);
  EXPECT_EQ(select_pair_format(kLimit - 1, 10).key_bits, 32);
  EXPECT_TRUE(select_pair_format(kLimit, 10).wide);
  EXPECT_FALSE(select_pair_format(10, kLimit).wide);
  EXPECT_TRUE(select_pair_format(10, kLimit + 1).wide);
}

TEST(BackwardPolicy, AutoIsDeterministic) {
  BackwardPolicy policy;
  BackwardProblem problem{.num_rows = 100, .dim = 8, .num_indices = kSmallMaxIndices};
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy).ok());
  EXPECT_EQ(policy.algorithm, ChosenBackward::kSmall);
  problem.num_indices = kSmallMaxIndices + 1;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy).ok());
  EXPECT_EQ(policy.algorithm, ChosenBackward::kSorted);
  EXPECT_EQ(policy.pairs, select_pair_format(100, kSmallMaxIndices + 1));
}

TEST(BackwardPolicy, AtomicIsForFloatAndDouble) {
  BackwardPolicy policy;
  for (const auto& [type, ok] :
       std::vector<std::pair<ElemType, bool>>{{ElemType::kFloat32, true},
                                              {ElemType::kFloat64, true},
                                              {ElemType::kFloat16, false},
                                              {ElemType::kBFloat16, false}}) {
    const BackwardProblem problem{.num_rows = 9, .dim = 8, .num_indices = 10, .elem_type = type};
    EXPECT_EQ(select_backward_policy(problem, BackwardRequest::kAtomic, &policy).ok(), ok);
  }
}

TEST(BackwardWorkspace, HoldsThePairsAndTwoRowsPerShare) {
  const BackwardProblem problem{.num_rows = 1'000'000, .dim = 64, .num_indices = 10240};
  BackwardPolicy policy;
  BackwardWorkspace plan;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kSorted, &policy).ok());
  ASSERT_TRUE(plan_backward_workspace(problem, policy, &plan).ok());
  EXPECT_EQ(plan.sort.keys - plan.sort.spare_keys, 2 * 10240 * 4);
  EXPECT_EQ(plan.sort.temp - plan.sort.keys, 2 * 10240 * 4);
  EXPECT_EQ(plan.sort.temp_bytes, 20 * 1024 * 4);  // tiles and digits
  const std::int64_t blocks = policy.segments.shares;
  EXPECT_EQ(plan.total_bytes - plan.segments,
            segment_workspace_bytes(policy.segments, 64, ElemType::kFloat32));
  EXPECT_GE(plan.total_bytes - plan.segments, blocks * 2 * 64 * 4);
  EXPECT_LE(plan.total_bytes - plan.segments, blocks * (2 * 64 * 4 + 40) + 3 * 256);
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAtomic, &policy).ok());
  ASSERT_TRUE(plan_backward_workspace(problem, policy, &plan).ok());
  EXPECT_EQ(plan.total_bytes, 0);
}

}  // namespace
}  // namespace rowlane::kernels
