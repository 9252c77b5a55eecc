// The emulated device's counters, on access patterns whose counts are known.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/runtime.cuh"
#include "cuda/simt/sort.cuh"
#include "tests/kernels/device_array.h"

namespace rowlane::simt {
namespace {

using emulated::CacheStart;
using emulated::Counts;
using emulated::L2Model;
using emulated::LaunchCounts;
using emulated::measure;
using emulated::Order;
using emulated::ScopedOptions;

template <typename... Params, typename... Args>
Counts measure_launch(void (*kernel)(Params...), const LaunchConfig& config, Args... args) {
  return measure([&] {
    const Status status = launch(kernel, config, args...);
    EXPECT_TRUE(status.ok()) << status.message();
  });
}

template <typename T>
__global__ void copy_kernel(const T* in, T* out, std::int64_t n) {
  const std::int64_t i = block_id() * block_size() + thread_id();
  if (i < n) {
    store(out + i, load_nc(in + i));
  }
}

TEST(EmulatedCounts, CopyTouchesEachSectorOnce) {
  constexpr std::int64_t kNum = 1 << 18;
  DeviceArray<float> in(kNum);
  DeviceArray<float> out(kNum);
  const LaunchCounts scalar =
      measure_launch(copy_kernel<float>,
                     {.name = "copy", .grid_x = kNum / 256, .block_threads = 256}, in.data(),
                     out.data(), kNum)
          .total();
  EXPECT_EQ(scalar.launches, 1);
  EXPECT_EQ(scalar.threads, kNum);
  EXPECT_EQ(scalar.load_requests, kNum / 32);
  EXPECT_EQ(scalar.store_requests, kNum / 32);
  EXPECT_EQ(scalar.divergent_requests, 0);
  EXPECT_EQ(scalar.sectors, 2 * kNum / 8);
  EXPECT_EQ(scalar.sector_use(), 1.0);
  EXPECT_EQ(scalar.l2.dram_read_bytes, 4 * kNum);
  EXPECT_EQ(scalar.l2.dram_write_bytes, 4 * kNum);
  EXPECT_EQ(scalar.longest_load_chain, 1);

  using Vec4 = Vec<float, 4>;
  const LaunchCounts vector =
      measure_launch(
          copy_kernel<Vec4>, {.name = "copy", .grid_x = kNum / 1024, .block_threads = 256},
          reinterpret_cast<const Vec4*>(in.data()), reinterpret_cast<Vec4*>(out.data()), kNum / 4)
          .total();
  EXPECT_EQ(vector.requests(), scalar.requests() / 4);
  EXPECT_EQ(vector.sectors, scalar.sectors);
  EXPECT_EQ(vector.l2, scalar.l2);
}

__global__ void divergent_kernel(const float* in, float* out) {
  if (lane_id() < 20) {
    store(out + thread_id(), load(in + thread_id()));
  }
  if (lane_id() % 2 == 0) {
    store(out + thread_id(), 1.0F);
  } else {
    store(out + thread_id(), 2.0F);
  }
}

TEST(EmulatedCounts, DivergentRequestsAreThoseWithoutAllLanes) {
  DeviceArray<float> in(64);
  DeviceArray<float> out(64);
  const LaunchCounts counts =
      measure_launch(divergent_kernel, {.name = "divergent", .block_threads = 64}, in.data(),
                     out.data())
          .total();
  EXPECT_EQ(counts.requests(), 2 * 4);
  EXPECT_EQ(counts.divergent_requests, 2 * 4);
  // 20 lanes end in the middle of the third sector; every other lane touches all four.
  EXPECT_EQ(counts.sectors, 2 * (3 + 3 + 4 + 4));
  EXPECT_EQ(counts.useful_bytes, 2 * (80 + 80 + 64 + 64));
}

// Lanes leave the loop at different times and every third does extra work.
__global__ void long_loop_kernel(const float* in, float* out, int n) {
  const int thread = thread_id();
  float sum = 0;
  for (int i = 0; i < n + thread % 2; ++i) {
    sum += load(in + i * 32 % 4096 + thread);
    if (thread % 3 == 0) {
      sum += load(in + thread);
    }
  }
  store(out + thread, sum);
}

TEST(EmulatedCounts, LongDivergentLoopsReconverge) {
  DeviceArray<float> in(8192);
  DeviceArray<float> out(32);
  in.fill(0);
  for (const int threads : {20, 32}) {
    for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
      ScopedOptions scoped;
      scoped->order = order;
      const LaunchCounts counts =
          measure_launch(long_loop_kernel, {.name = "long_loop", .block_threads = threads},
                         in.data(), out.data(), 1000)
              .total();
      EXPECT_GE(counts.requests(), 2003);  // 1001 iterations of the longest lane, two loads each
      EXPECT_LE(counts.requests(), 2023);
    }
  }
}

// Each group of eight lanes sums another number of elements, all of its lanes together.
__global__ void octets_kernel(const float* in, float* out) {
  const int octet = lane_id() / 8;
  const std::uint32_t mask = 0xffU << (octet * 8);
  float sum = 0;
  for (int i = 0; i < 100 * (octet + 1); ++i) {
    float value = load(in + i * 8 + lane_id() % 8);
    for (int delta = 4; delta > 0; delta /= 2) {
      value += shfl_xor(mask, value, delta, 8);
    }
    sum += value;
  }
  sync_block();
  store(out + block_id() * block_size() + thread_id(), sum);
}

TEST(EmulatedCounts, CountingLeavesDivergentWarpsAlone) {
  DeviceArray<float> in(400 * 8);
  DeviceArray<float> out(3 * 80);
  in.fill(1);
  for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
    for (const int preempt_every : {0, 5}) {
      ScopedOptions scoped;
      scoped->order = order;
      scoped->preempt_every = preempt_every;
      const LaunchCounts counts =
          measure_launch(octets_kernel, {.name = "octets", .grid_x = 3, .block_threads = 80},
                         in.data(), out.data())
              .total();
      for (std::size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], 800.0F * static_cast<float>(i % 80 % 32 / 8 + 1));
      }
      // Two whole warps and a half: the longest octet's loop, and a store.
      EXPECT_GE(counts.requests(), 3 * (400 + 400 + 200 + 3));
      EXPECT_LE(counts.requests(), 3 * (1000 + 1000 + 300 + 3));
    }
  }
}

TEST(EmulatedCounts, WarmCacheServesWhatFits) {
  constexpr std::int64_t kNum = 1 << 16;
  DeviceArray<float> in(kNum);
  DeviceArray<float> out(kNum);
  const auto run = [&] {
    EXPECT_TRUE(launch(copy_kernel<float>,
                       {.name = "copy", .grid_x = kNum / 256, .block_threads = 256}, in.data(),
                       out.data(), kNum)
                    .ok());
  };
  EXPECT_EQ(measure(run).total().l2.dram_read_bytes, 4 * kNum);
  const Counts warm = measure(run, CacheStart::kWarm);
  EXPECT_EQ(warm.total().l2.dram_read_bytes, 0);
  EXPECT_EQ(warm.total().l2.dram_write_bytes, 4 * kNum);
  EXPECT_EQ(warm.total().l2.hit_sectors, kNum / 8);
  EXPECT_EQ(measure(run).total().l2.dram_read_bytes, 4 * kNum);
  ScopedOptions scoped;
  scoped->l2_scale = 0.001;  // 51 KB
  measure(run);
  const Counts scaled = measure(run, CacheStart::kWarm);
  EXPECT_EQ(scaled.l2_scale, 0.001);
  EXPECT_GT(scaled.total().l2.dram_read_bytes, 3 * kNum);
}

__global__ void scatter_kernel(float* out, std::int64_t distinct) {
  const std::int64_t row = block_id() % distinct;
  reduce_add(out + row * 128 + lane_id() * 4, Vec<float, 4>{1, 1, 1, 1});
}

TEST(EmulatedCounts, AtomicChainIsTheMostUpdatesOfOneAddress) {
  DeviceArray<float> out(128 * 128);
  out.fill(0);
  const auto run = [&](std::int64_t distinct) {
    return measure_launch(scatter_kernel, {.name = "scatter", .grid_x = 96, .block_threads = 32},
                          out.data(), distinct)
        .total();
  };
  EXPECT_EQ(run(1).l2.longest_atomic_chain, 96);
  EXPECT_EQ(run(4).l2.longest_atomic_chain, 24);
  const LaunchCounts spread = run(96);
  EXPECT_EQ(spread.l2.longest_atomic_chain, 1);
  EXPECT_EQ(spread.atomic_requests, 96);
  EXPECT_EQ(spread.atomic_lanes, 96 * 32);
  EXPECT_EQ(spread.l2.atomic_sectors, 96 * 16);
  EXPECT_EQ(spread.l2.dram_read_bytes, 96 * 512);
  EXPECT_EQ(spread.l2.dram_write_bytes, 96 * 512);

  ScopedOptions scoped;
  scoped->device = emulated::find_device("a100");  // without vector reductions
  EXPECT_EQ(run(96).atomic_requests, 4 * 96);
  EXPECT_EQ(run(96).l2.longest_atomic_chain, 4);
}

__global__ void count_all_kernel(int* counter) { atomic_add(counter, 1); }

TEST(EmulatedCounts, LanesOnOneAddressFollowOneAnother) {
  DeviceArray<int> counter(1);
  counter.fill(0);
  const LaunchCounts counts =
      measure_launch(count_all_kernel, {.name = "count_all", .grid_x = 3, .block_threads = 64},
                     counter.data())
          .total();
  EXPECT_EQ(counts.l2.longest_atomic_chain, 3 * 64);
  EXPECT_EQ(counts.atomic_requests, 6);
  EXPECT_EQ(counter[0], 3 * 64);
}

template <typename T>
__global__ void stride_kernel(int stride, float* out) {
  const auto values = shared<struct Values, T, 32 * 33>();
  values.store(thread_id() * stride, T{});
  sync_block();
  if (thread_id() == 0) {
    store(out, 1.0F);
  }
}

TEST(EmulatedCounts, BankConflictsArePassesBeyondTheNeeded) {
  DeviceArray<float> out(1);
  const auto conflicts = [&](auto kernel, int stride) {
    return measure_launch(kernel, {.name = "stride", .block_threads = 32}, stride, out.data())
        .total()
        .shared_bank_conflicts;
  };
  EXPECT_EQ(conflicts(stride_kernel<float>, 1), 0);
  EXPECT_EQ(conflicts(stride_kernel<float>, 2), 1);
  EXPECT_EQ(conflicts(stride_kernel<float>, 32), 31);
  EXPECT_EQ(conflicts(stride_kernel<float>, 33), 0);
  using Vec2 = Vec<float, 2>;
  EXPECT_EQ(conflicts(stride_kernel<Vec2>, 1), 0);
  EXPECT_EQ(conflicts(stride_kernel<Vec2>, 16), 32 - 2);
}

// Block b makes b + 1 loads in warp 0.
__global__ void staircase_kernel(const float* in, float* out) {
  float sum = 0;
  for (int i = 0; warp_id() == 0 && i <= block_id(); ++i) {
    sum += load(in + i * 32 + lane_id());
  }
  store(out + block_id() * block_size() + thread_id(), sum);
}

TEST(EmulatedCounts, BalanceIsVisiblePerBlockAndPerWarp) {
  DeviceArray<float> in(16 * 32);
  DeviceArray<float> out(8 * 64);
  in.fill(0);
  const LaunchCounts counts =
      measure_launch(staircase_kernel, {.name = "staircase", .grid_x = 8, .block_threads = 64},
                     in.data(), out.data())
          .total();
  EXPECT_EQ(counts.max_block_requests, 8 + 2);
  EXPECT_EQ(counts.max_warp_requests, 8 + 1);
  EXPECT_EQ(counts.mean_block_requests(), (36.0 + 16.0) / 8);
}

__global__ void chase_kernel(const int* next, int* out, int steps) {
  int at = 0;
  for (int i = 0; i < steps; ++i) {
    at = load(next + at);
  }
  store(out, at);
}

template <int kInFlight>
__global__ void gather_kernel(const int* rows, const float* table, float* out) {
  for (int first = 0; first < 16; first += kInFlight) {
    int row[kInFlight];
    for (int i = 0; i < kInFlight; ++i) {
      row[i] = load_nc(rows + first + i);
    }
    float value[kInFlight];
    for (int i = 0; i < kInFlight; ++i) {
      value[i] = load_nc(table + static_cast<std::int64_t>(row[i]) * 32 + lane_id());
    }
    for (int i = 0; i < kInFlight; ++i) {
      store(out + (first + i) * 32 + lane_id(), value[i]);
    }
  }
}

TEST(EmulatedCounts, LoadChainsAreEstimatedByRounds) {
  ScopedOptions scoped;
  scoped->l1 = false;
  DeviceArray<int> next(1000);
  DeviceArray<int> out(1);
  for (std::size_t i = 0; i < next.size(); ++i) {
    next[i] = static_cast<int>((i * i + 7 * i + 13) % 1000);
  }
  EXPECT_EQ(measure_launch(chase_kernel, {.name = "chase"}, next.data(), out.data(), 20)
                .total()
                .longest_load_chain,
            19);  // the first two could still be an unrolled loop

  DeviceArray<int> rows(16);
  DeviceArray<float> table(16 * 32);
  DeviceArray<float> copied(16 * 32);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int>(i * 5 % 16);
  }
  const auto chain = [&](auto kernel) {
    return measure_launch(kernel, {.name = "gather", .block_threads = 32}, rows.data(),
                          table.data(), copied.data())
        .total()
        .longest_load_chain;
  };
  EXPECT_EQ(chain(gather_kernel<1>), 2 * 16);
  EXPECT_EQ(chain(gather_kernel<4>), 2 * 4);
  EXPECT_EQ(chain(gather_kernel<16>), 2);
}

// Reads scattered lines of two arrays, both within one instruction, more of them than the L1 has.
__global__ void scattered_kernel(const float* a, const float* b, std::uint32_t n, float* out) {
  float sum = 0;
  auto state = static_cast<std::uint32_t>(block_id() * block_size() + thread_id());
  for (int i = 0; i < 100; ++i) {
    state = state * 1664525U + 1013904223U;
    sum += load((state >> 31 != 0 ? a : b) + (state >> 8) % n);
  }
  store(out + block_id() * block_size() + thread_id(), sum);
}

TEST(EmulatedCounts, SameWorkCountsTheSameEverywhere) {
  constexpr std::int64_t kRows = 3000;
  constexpr std::int64_t kNum = 20000;
  std::vector<Counts> all;
  for (const int host_threads : {1, 2, 2, 1}) {
    const DeviceArray<char> elsewhere(static_cast<std::size_t>(1000 + 5000 * all.size()));
    ScopedOptions scoped;
    scoped->host_threads = host_threads;
    scoped->l2_scale = 0.01;
    DeviceArray<float> in(kRows * 64);
    const DeviceArray<char> between(static_cast<std::size_t>(100000 * (all.size() % 3 + 1)));
    DeviceArray<float> more(kRows * 64);
    DeviceArray<float> out(kNum);
    all.push_back(measure([&] {
      ASSERT_TRUE(memset_async(in.data(), 0, kRows * 64 * 4, nullptr).ok());
      ASSERT_TRUE(launch(copy_kernel<float>, {.name = "copy", .grid_x = 500, .block_threads = 256},
                         in.data(), out.data(), kNum)
                      .ok());
      ASSERT_TRUE(launch(scatter_kernel, {.name = "scatter", .grid_x = 999, .block_threads = 32},
                         in.data(), std::int64_t{1500})
                      .ok());
      ASSERT_TRUE(launch(scattered_kernel, {.name = "scattered", .grid_x = 20, .block_threads = 64},
                         in.data(), more.data(), std::uint32_t{kRows * 64}, out.data())
                      .ok());
    }));
  }
  for (const Counts& counts : all) {
    EXPECT_EQ(counts, all.front());
  }
}

TEST(EmulatedCounts, InterleavedBlocksTouchTheSameSectors) {
  DeviceArray<float> in(1 << 16);
  DeviceArray<float> out(1 << 16);
  const auto run = [&](int interleaved_blocks) {
    ScopedOptions scoped;
    scoped->interleaved_blocks = interleaved_blocks;
    return measure_launch(copy_kernel<float>, {.name = "copy", .grid_x = 256, .block_threads = 256},
                          in.data(), out.data(), std::int64_t{1} << 16)
        .total();
  };
  EXPECT_EQ(run(1), run(132));
  EXPECT_EQ(run(1), run(1000));
}

TEST(EmulatedCounts, MemsetAndMemcpyGoThroughTheCache) {
  DeviceArray<float> a(1 << 16);
  DeviceArray<float> b(1 << 16);
  const Counts counts = measure([&] {
    ASSERT_TRUE(memset_async(a.data(), 0, 4 << 16, nullptr).ok());
    ASSERT_TRUE(memcpy_async(b.data(), a.data(), 4 << 16, nullptr).ok());
  });
  EXPECT_EQ(counts.total().launches, 2);
  EXPECT_EQ(counts.kernel("memset").l2.dram_write_bytes, 4 << 16);
  EXPECT_EQ(counts.kernel("memcpy").l2.dram_read_bytes, 0);  // just written
  EXPECT_EQ(counts.kernel("memcpy").l2.dram_write_bytes, 4 << 16);
}

LaunchCounts counted_sort(std::size_t n, int bits) {
  DeviceArray<std::uint32_t> keys(n);
  DeviceArray<std::uint32_t> sorted_keys(n);
  DeviceArray<std::int32_t> values(n);
  DeviceArray<std::int32_t> sorted_values(n);
  std::int64_t temp_bytes = 0;
  const auto num = static_cast<std::int64_t>(n);
  EXPECT_TRUE((sort_pairs_bytes<std::uint32_t, std::int32_t>(num, bits, &temp_bytes).ok()));
  DeviceArray<char> temp(static_cast<std::size_t>(temp_bytes));
  return measure([&] {
           EXPECT_TRUE(sort_pairs(temp.data(), temp_bytes, keys.data(), sorted_keys.data(),
                                  values.data(), sorted_values.data(), num, bits, nullptr)
                           .ok());
         })
      .kernel("sort_pairs");
}

TEST(EmulatedCounts, SortIsChargedAsAOnesweepSort) {
  const LaunchCounts large = counted_sort(10000, 17);
  EXPECT_EQ(large.library_bytes, 10000 * (4 + 2 * 3 * 8));
  EXPECT_EQ(large.l2.dram_bytes(), large.library_bytes);
  EXPECT_EQ(large.launches, 2 + 3 + (2 + 3));  // kernels, and the clearing of their counters
  const LaunchCounts small = counted_sort(4864, 17);
  EXPECT_EQ(small.launches, 1);
  EXPECT_EQ(small.library_bytes, 4864 * 16);
}

// The floor that budgets are held against: the copy's accesses, fed by hand.
TEST(EmulatedCounts, IdealKernelMatchesTheIdealTrace) {
  constexpr std::int64_t kNum = 1 << 18;
  DeviceArray<float> in(kNum);
  DeviceArray<float> out(kNum);
  ScopedOptions scoped;
  scoped->l2_scale = 0.01;
  const LaunchCounts counts =
      measure_launch(copy_kernel<float>,
                     {.name = "copy", .grid_x = kNum / 256, .block_threads = 256}, in.data(),
                     out.data(), kNum)
          .total();
  L2Model floor((50 << 20) / 100);
  for (std::uint64_t i = 0; i < 4 * kNum; i += 128) {
    floor.read(i, 128);
    floor.write((1ULL << 32) + i, 128);
  }
  floor.write_back();
  EXPECT_EQ(counts.l2.dram_bytes(), floor.total().dram_bytes());
}

}  // namespace
}  // namespace rowlane::simt
