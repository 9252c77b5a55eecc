// Blocks are owned, used again, bounded and reported. Runs with room for 16 MiB, and with none.
#include "csrc/cpu/block_cache.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rowlane::cpu {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::int64_t capacity_mebibytes() { return std::stoll(std::getenv("ROWLANE_CPU_CACHE")); }

at::Tensor bytes(std::int64_t count) { return empty_output({count}, at::kByte); }

class BlockCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (capacity_mebibytes() == 0) {
      GTEST_SKIP() << "the cache is off";
    }
  }
};

TEST_F(BlockCacheTest, HandsOutAFreedBlockAgain) {
  const void* const first = bytes(5 * kMiB).data_ptr();
  EXPECT_EQ(bytes(5 * kMiB - 100).data_ptr(), first);
}

TEST_F(BlockCacheTest, KeepsABlockWhileAViewOfItLives) {
  at::Tensor whole = bytes(5 * kMiB).fill_(7);
  const at::Tensor part = whole.narrow(0, kMiB, 10);
  whole.reset();
  bytes(5 * kMiB).fill_(1);
  EXPECT_TRUE(part.eq(7).all().item<bool>());
}

TEST_F(BlockCacheTest, LetsATensorGrow) {
  at::Tensor tensor = bytes(3 * kMiB).fill_(7);
  tensor.resize_({9 * kMiB});
  tensor.narrow(0, 3 * kMiB, 6 * kMiB).fill_(1);
  EXPECT_TRUE(tensor.narrow(0, 0, 3 * kMiB).eq(7).all().item<bool>());
  tensor.resize_({0});
  tensor.resize_({10});
  tensor.fill_(2);
}

TEST_F(BlockCacheTest, GivesBackWhatIsBeyondItsCapacity) {
  {
    std::vector<at::Tensor> tensors;
    for (int i = 0; i < 5; ++i) {
      tensors.push_back(bytes(6 * kMiB));
    }
  }
  EXPECT_EQ(block_cache().kept_bytes(), static_cast<std::size_t>(12 * kMiB));
  { const at::Tensor larger_than_all = bytes(20 * kMiB); }
  EXPECT_LE(block_cache().kept_bytes(), static_cast<std::size_t>(16 * kMiB));
}

TEST_F(BlockCacheTest, GivesEveryThreadBlocksOfItsOwn) {
  std::vector<std::thread> threads;
  std::vector<int> mistakes(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &mistakes] {
      for (int i = 0; i < 200; ++i) {
        const c10::DataPtr block =
            block_cache().allocate(static_cast<std::size_t>(kMiB * (1 + (i + t) % 5)));
        auto* const value = static_cast<volatile int*>(block.get());
        *value = t;
        std::this_thread::yield();
        mistakes[static_cast<std::size_t>(t)] += *value == t ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(mistakes, std::vector<int>(4, 0));
}

// Ascending sizes are the worst: no block that was kept fits the next one.
TEST(BlockCacheOfVaryingSizes, KeepsAFewTimesWhatWasInUseAndAtMostItsCapacity) {
  constexpr auto kUnit = static_cast<std::size_t>(2 * kMiB);
  for (const std::size_t capacity : {16 * kUnit, 100'000 * kUnit}) {
    for (const bool is_ascending : {false, true}) {
      for (const std::size_t max_live : {1, 3}) {
        SCOPED_TRACE(::testing::Message() << "capacity " << capacity << ", ascending "
                                          << is_ascending << ", live " << max_live);
        BlockCache cache(capacity);
        std::deque<std::pair<c10::DataPtr, std::size_t>> live;
        std::size_t used = 0;
        std::size_t most_used = 0;
        std::size_t most_kept = 0;
        double most_growth = 0;
        std::mt19937 random(1);
        const auto look = [&] {
          most_used = std::max(most_used, used);
          most_kept = std::max(most_kept, cache.kept_bytes());
          most_growth = std::max(most_growth, static_cast<double>(used + cache.kept_bytes()) /
                                                  static_cast<double>(most_used));
        };
        for (std::size_t i = 0; i < 1000; ++i) {
          const std::size_t size = kUnit * (is_ascending ? 1 + i / 16 : 1 + random() % 64);
          used += size;
          live.emplace_back(cache.allocate(size), size);
          look();
          if (live.size() >= max_live) {
            used -= live.front().second;
            live.pop_front();
            look();
          }
        }
        EXPECT_LE(most_kept, capacity);
        // What is in use may be a quarter more than was asked for.
        EXPECT_LE(most_growth, 1.25 * BlockCache::kMaxGrowth);
      }
    }
  }
}

class ByteCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*ptr*/, std::int64_t alloc_size, std::size_t /*allocated*/,
                         std::size_t /*reserved*/, at::Device /*device*/) override {
    now += alloc_size;
    most = std::max(most, now);
  }
  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }

  std::int64_t now = 0;
  std::int64_t most = 0;
};

TEST(BlockCacheReports, EachAllocationAndItsEnd) {
  const auto counter = std::make_shared<ByteCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  for (int i = 0; i < 2; ++i) {
    const at::Tensor tensor = bytes(5 * kMiB);
    EXPECT_EQ(counter->now, 5 * kMiB);
  }
  EXPECT_EQ(counter->now, 0);
  EXPECT_EQ(counter->most, 5 * kMiB);
}

TEST(BlockCacheOff, KeepsNothing) {
  if (capacity_mebibytes() > 0) {
    GTEST_SKIP() << "the cache is on";
  }
  { const at::Tensor tensor = bytes(5 * kMiB); }
  EXPECT_EQ(block_cache().kept_bytes(), 0U);
}

}  // namespace
}  // namespace rowlane::cpu
