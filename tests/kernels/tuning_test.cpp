// Tuning files, what they decide, and how they are found.
#include "cuda/tuning.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cuda/backward.h"
#include "tune/tuner.h"

namespace rowlane::kernels {
namespace {

TEST(TuningFile, IsReadAsItWasWritten) {
  const Tuning written{.small_max_indices = 512, .tile_sort_max_indices = 65536};
  Tuning read;
  const Status status =
      parse_tuning(format_tuning(written, "Some GPU 80GB"), "Some GPU 80GB", &read);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(read, written);
}

TEST(TuningFile, MayHaveCommentsAndLeaveSettingsOut) {
  Tuning tuning;
  ASSERT_TRUE(
      parse_tuning("# mine\n\n device =  gpu # here\r\nsmall_max_indices=0", "gpu", &tuning).ok());
  EXPECT_EQ(tuning.small_max_indices, 0);
  EXPECT_EQ(tuning.tile_sort_max_indices, kMaxTileSort);
}

TEST(TuningFile, SaysWhatIsWrongAndChangesNothing) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "does not name its device"},
           {"small_max_indices = 5", "does not name its device"},
           {"device = b", "is for the device 'b', not for 'a'"},
           {"device = a\n\nsize = 3", "line 3: there is no setting 'size'"},
           {"device = a\nsmall_max_indices = 2049",
            "line 2: small_max_indices must be a number from 0 to 2048, got '2049'"},
           {"device = a\nsmall_max_indices = -1",
            "line 2: small_max_indices must be a number from 0 to 2048, got '-1'"},
           {"device = a\nsmall_max_indices = 7x",
            "line 2: small_max_indices must be a number from 0 to 2048, got '7x'"},
           {"device = a\ntile_sort_max_indices",
            "line 2: tile_sort_max_indices must be a number from 4096 to 262144, got ''"},
       }) {
    Tuning tuning{.small_max_indices = 77};
    const Status status = parse_tuning(text, "a", &tuning);
    EXPECT_EQ(status.message(), message);
    EXPECT_EQ(tuning.small_max_indices, 77);
  }
}

TEST(Tuning, DecidesWhatAutoIs) {
  const Tuning tuning{.small_max_indices = 100, .tile_sort_max_indices = 5000};
  BackwardPolicy policy;
  BackwardProblem problem{.num_rows = 1000, .dim = 8, .num_indices = 100};
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy, tuning).ok());
  EXPECT_EQ(policy.algorithm, ChosenBackward::kSmall);
  problem.num_indices = 101;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy, tuning).ok());
  EXPECT_EQ(policy.algorithm, ChosenBackward::kSorted);
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kSmall, &policy, tuning).ok());
  EXPECT_EQ(policy.algorithm, ChosenBackward::kSmall);
  problem.num_indices = 5000;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy, tuning).ok());
  EXPECT_EQ(policy.pairs.method, SortMethod::kTiles);
  problem.num_indices = 5001;
  ASSERT_TRUE(select_backward_policy(problem, BackwardRequest::kAuto, &policy, tuning).ok());
  EXPECT_EQ(policy.pairs.method, SortMethod::kLibrary);
}

// A device on which `small` wins up to so many indices, and our own sort up to so many.
Tuning tune_device(std::int64_t small_wins, std::int64_t tiles_win) {
  std::ostringstream out;
  return bench::tune(
      [=](const bench::TuneProblem& problem, BackwardRequest request, const Tuning& tuning) {
        const bool is_small = request == BackwardRequest::kSmall;
        const bool has_tiles = problem.num_indices() <= tuning.tile_sort_max_indices;
        return 10 + (is_small && problem.num_indices() > small_wins ? 1.0 : 0.0) +
               (has_tiles && problem.num_indices() > tiles_win ? 1.0 : 0.0);
      },
      out);
}

TEST(Tune, FindsTheCrossings) {
  EXPECT_EQ(tune_device(256, 65536),
            (Tuning{.small_max_indices = 256, .tile_sort_max_indices = 65536}));
  EXPECT_EQ(tune_device(0, 0),
            (Tuning{.small_max_indices = 32, .tile_sort_max_indices = kMaxBlockSort}));
  EXPECT_EQ(tune_device(1 << 30, 1 << 30), Tuning{});
}

}  // namespace
}  // namespace rowlane::kernels
