// The emulated device itself: schedules, the meaning of every intrinsic, memory, launches.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/runtime.cuh"
#include "cuda/simt/sort.cuh"
#include "tests/kernels/device_array.h"

namespace rowlane::simt {
namespace {

using emulated::Options;
using emulated::Order;
using emulated::ScopedOptions;

constexpr int kSlots = 16;  // results per thread of intrinsics_kernel

__global__ void intrinsics_kernel(int* out) {
  const int lane = lane_id();
  const int base = thread_id() * kSlots;
  const std::uint32_t octet = 0xffU << (lane & 24);
  int sum = lane;
  for (int delta = 4; delta > 0; delta /= 2) {
    sum += shfl_down(octet, sum, delta, 8);
  }
  store(out + base + 0, shfl(octet, sum, 0, 8));
  store(out + base + 1, shfl_up(kFullMask, lane, 3));
  store(out + base + 2, shfl_down(kFullMask, lane, 30));
  store(out + base + 3, shfl_xor(kFullMask, lane, 5));
  store(out + base + 4, static_cast<int>(match_any(kFullMask, lane / 5)));
  store(out + base + 5, static_cast<int>(ballot(kFullMask, lane % 2 == 1)));
  store(out + base + 6, any(kFullMask, lane == 7) ? 1 : 0);
  store(out + base + 7, all(kFullMask, lane < 32) ? 1 : 0);
  store(out + base + 8, all(kFullMask, lane < 31) ? 1 : 0);
  if (lane < 16) {
    store(out + base + 9, shfl_xor(0xffffU, lane, 8, 16));
  } else {
    store(out + base + 9, -1);
  }
  store(out + base + 10, popc(0xf0f0U) * 100 + ffs(0x10U) * 10 + ffs(0U));
  store(out + base + 11, clz(1U) + clz(0U));
  store(out + base + 12, shfl(kFullMask, lane, 37));  // the lane number wraps at the width
  store(out + base + 13, warp_id());
}

TEST(EmulatedDevice, IntrinsicsMeanWhatCudaSays) {
  constexpr int kThreads = 64;
  DeviceArray<int> out(kThreads * kSlots);
  for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
    ScopedOptions scoped;
    scoped->order = order;
    const Status status =
        launch(intrinsics_kernel, {.name = "intrinsics", .block_threads = kThreads}, out.data());
    ASSERT_TRUE(status.ok()) << status.message();
    for (int thread = 0; thread < kThreads; ++thread) {
      const int lane = thread % 32;
      int same_fifth = 0;
      for (int other = 0; other < 32; ++other) {
        same_fifth |= other / 5 == lane / 5 ? 1 << other : 0;
      }
      const std::vector<int> expected = {8 * (lane & 24) + 28,
                                         lane < 3 ? lane : lane - 3,
                                         lane + 30 > 31 ? lane : lane + 30,
                                         lane ^ 5,
                                         same_fifth,
                                         static_cast<int>(0xaaaaaaaaU),
                                         1,
                                         1,
                                         0,
                                         lane < 16 ? lane ^ 8 : -1,
                                         850,
                                         31 + 32,
                                         5,
                                         thread / 32};
      for (std::size_t slot = 0; slot < expected.size(); ++slot) {
        EXPECT_EQ(out[static_cast<std::size_t>(thread * kSlots) + slot], expected[slot])
            << "thread " << thread << " slot " << slot;
      }
    }
  }
}

__global__ void identity_kernel(std::int64_t* out) {
  const std::int64_t block = block_id_y() * grid_size() + block_id();
  store(out + block * block_size() + thread_id(), block * 1000 + thread_id());
}

TEST(EmulatedDevice, EveryThreadOfEveryBlockRunsOnce) {
  DeviceArray<std::int64_t> out(7 * 3 * 45);
  for (const int host_threads : {1, 2}) {
    for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
      ScopedOptions scoped;
      scoped->order = order;
      scoped->host_threads = host_threads;
      out.fill(-1);
      ASSERT_TRUE(launch(identity_kernel,
                         {.name = "identity", .grid_x = 7, .grid_y = 3, .block_threads = 45},
                         out.data())
                      .ok());
      for (std::size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], static_cast<std::int64_t>(i / 45 * 1000 + i % 45));
      }
    }
  }
}

// Records the order in which threads arrive at a counter.
__global__ void arrival_kernel(int* counter, int* arrival) {
  store(arrival + block_id() * block_size() + thread_id(), atomic_add(counter, 1));
}

std::vector<int> arrivals(const Options& options) {
  ScopedOptions scoped(options);
  DeviceArray<int> counter(1);
  counter.fill(0);
  DeviceArray<int> arrival(4 * 8);
  const Status status = launch(arrival_kernel, {.name = "arrival", .grid_x = 4, .block_threads = 8},
                               counter.data(), arrival.data());
  EXPECT_TRUE(status.ok()) << status.message();
  return arrival.to_vector();
}

TEST(EmulatedDevice, SchedulesDifferAndRepeat) {
  const auto in_order = arrivals({.order = Order::kInOrder});
  const auto reversed = arrivals({.order = Order::kReversed});
  const auto shuffled = arrivals({.order = Order::kShuffled, .seed = 1});
  const auto shuffled_again = arrivals({.order = Order::kShuffled, .seed = 1});
  const auto shuffled_otherwise = arrivals({.order = Order::kShuffled, .seed = 2});
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(in_order[static_cast<std::size_t>(i)], i);
    EXPECT_EQ(reversed[static_cast<std::size_t>(i)], 31 - i);
  }
  EXPECT_NE(shuffled, in_order);
  EXPECT_EQ(shuffled, shuffled_again);
  EXPECT_NE(shuffled, shuffled_otherwise);
}

// Counts up without an atomic: right only if nothing comes between the load and the store.
__global__ void lost_update_kernel(int* counter) { store(counter, load(counter) + 1); }

TEST(EmulatedDevice, PreemptionExposesLostUpdates) {
  DeviceArray<int> counter(1);
  counter.fill(0);
  ASSERT_TRUE(
      launch(lost_update_kernel, {.name = "lost", .block_threads = 64}, counter.data()).ok());
  EXPECT_EQ(counter[0], 64);
  ScopedOptions scoped;
  scoped->preempt_every = 1;
  counter.fill(0);
  ASSERT_TRUE(
      launch(lost_update_kernel, {.name = "lost", .block_threads = 64}, counter.data()).ok());
  EXPECT_LT(counter[0], 64);
}

__global__ void block_sum_kernel(const float* in, float* out, int n) {
  const auto partial = shared<struct Partial, float, 32>();
  const auto scaled = shared_dynamic<float>(64);
  float sum = 0;
  for (int i = thread_id(); i < n; i += block_size()) {
    sum += load_nc(in + i);
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += shfl_xor(kFullMask, sum, offset);
  }
  if (lane_id() == 0) {
    partial.store(warp_id(), sum);
  }
  sync_block();
  if (thread_id() == 0) {
    float total = 0;
    for (int warp = 0; warp < block_size() / 32; ++warp) {
      total += partial.load(warp);
    }
    scaled.store(0, 2 * total);
  }
  sync_block();
  store(out + block_id() * block_size() + thread_id(), scaled.load(0));
}

TEST(EmulatedDevice, BarriersAndSharedMemoryWorkUnderEverySchedule) {
  constexpr int kThreads = 256;
  constexpr int kBlocks = 5;
  DeviceArray<float> in(1000);
  DeviceArray<float> out(kBlocks * kThreads);
  in.fill(1.0F);
  for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
    for (const int preempt_every : {0, 1, 3}) {
      for (const int host_threads : {1, 2}) {
        ScopedOptions scoped;
        scoped->order = order;
        scoped->preempt_every = preempt_every;
        scoped->host_threads = host_threads;
        scoped->check_shared_races = true;
        out.fill(0.0F);
        const Status status = launch(block_sum_kernel,
                                     {.name = "block_sum",
                                      .grid_x = kBlocks,
                                      .block_threads = kThreads,
                                      .dynamic_shared_bytes = 68},
                                     in.data(), out.data(), 1000);
        ASSERT_TRUE(status.ok()) << status.message();
        for (const float value : out.to_vector()) {
          ASSERT_EQ(value, 2000.0F);
        }
      }
    }
  }
}

__global__ void atomics_kernel(int* ints, std::uint64_t* longs, float* floats, double* doubles) {
  const int id = static_cast<int>(block_id()) * block_size() + thread_id();
  atomic_add(ints, 1);
  atomic_min(ints + 1, id);
  atomic_max(ints + 2, id);
  atomic_add(longs, std::uint64_t{1} << 33);
  reduce_add(floats, Vec<float, 4>{1.0F, 2.0F, 3.0F, 4.0F});
  reduce_add(doubles, Vec<double, 2>{1.0, 0.5});
}

TEST(EmulatedDevice, AtomicsAreAtomicAcrossHostThreads) {
  constexpr int kThreads = 128;
  constexpr int kBlocks = 200;
  constexpr int kAll = kThreads * kBlocks;
  ScopedOptions scoped;
  scoped->host_threads = 2;
  DeviceArray<int> ints(3);
  DeviceArray<std::uint64_t> longs(1);
  DeviceArray<float> floats(4);
  DeviceArray<double> doubles(2);
  ints.fill(0);
  longs.fill(0);
  floats.fill(0);
  doubles.fill(0);
  const Status status =
      launch(atomics_kernel, {.name = "atomics", .grid_x = kBlocks, .block_threads = kThreads},
             ints.data(), longs.data(), floats.data(), doubles.data());
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(ints.to_vector(), (std::vector<int>{kAll, 0, kAll - 1}));
  EXPECT_EQ(longs[0], static_cast<std::uint64_t>(kAll) << 33);
  EXPECT_EQ(floats.to_vector(),
            (std::vector<float>{1.0F * kAll, 2.0F * kAll, 3.0F * kAll, 4.0F * kAll}));
  EXPECT_EQ(doubles.to_vector(), (std::vector<double>{1.0 * kAll, 0.5 * kAll}));
}

TEST(EmulatedDevice, HalfRoundsToNearestEven) {
  EXPECT_EQ(from_accum<half>(1.0F).bits, 0x3c00);
  EXPECT_EQ(from_accum<half>(2049.0F).bits, from_accum<half>(2048.0F).bits);
  EXPECT_EQ(from_accum<half>(2051.0F).bits, from_accum<half>(2052.0F).bits);
  EXPECT_EQ(from_accum<half>(65504.0F).bits, 0x7bff);
  EXPECT_EQ(from_accum<half>(65520.0F).bits, 0x7c00);
  EXPECT_EQ(from_accum<half>(std::nanf("")).bits, 0x7fff);
  EXPECT_EQ(to_accum(from_accum<half>(5.9604645e-8F)), 5.9604645e-8F);
}

TEST(EmulatedDevice, Bfloat16RoundsToNearestEven) {
  EXPECT_EQ(from_accum<bfloat16>(1.0F).bits, 0x3f80);
  EXPECT_EQ(from_accum<bfloat16>(257.0F).bits, from_accum<bfloat16>(256.0F).bits);
  EXPECT_EQ(from_accum<bfloat16>(259.0F).bits, from_accum<bfloat16>(260.0F).bits);
  EXPECT_EQ(from_accum<bfloat16>(std::numeric_limits<float>::infinity()).bits, 0x7f80);
  EXPECT_EQ(from_accum<bfloat16>(std::nanf("")).bits, 0x7fff);
  EXPECT_EQ(to_accum(from_accum<bfloat16>(-0.0F)), 0.0F);
}

TEST(EmulatedDevice, FreshMemoryIsPoisonedAndAlignedTo256BytesOnly) {
  for (int i = 0; i < 20; ++i) {
    auto* p = static_cast<float*>(emulated::device_alloc(1000));
    EXPECT_TRUE(std::isnan(p[0]));
    EXPECT_TRUE(std::isnan(p[249]));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 256, 0U);
    EXPECT_NE(reinterpret_cast<std::uintptr_t>(p) % 512, 0U);
    emulated::device_free(p);
  }
}

TEST(EmulatedDevice, FreedMemoryIsReusedInTheEnd) {
  std::uintptr_t lowest = std::numeric_limits<std::uintptr_t>::max();
  std::uintptr_t highest = 0;
  for (int i = 0; i < 4000; ++i) {
    void* p = emulated::device_alloc(300000);
    lowest = std::min(lowest, reinterpret_cast<std::uintptr_t>(p));
    highest = std::max(highest, reinterpret_cast<std::uintptr_t>(p));
    static_cast<char*>(p)[150000] = 1;
    emulated::device_free(p);
  }
  EXPECT_LT(highest - lowest, std::uintptr_t{1} << 30);  // without reuse they would span 3.4 GB
}

TEST(EmulatedDevice, DeviceFreeRejectsWhatItDidNotAllocate) {
  char on_stack = 0;
  EXPECT_THROW(emulated::device_free(&on_stack), std::invalid_argument);
  auto* p = static_cast<char*>(emulated::device_alloc(64));
  EXPECT_THROW(emulated::device_free(p + 1), std::invalid_argument);
  emulated::device_free(p);
  EXPECT_THROW(emulated::device_free(p), std::invalid_argument);
}

TEST(EmulatedDevice, MemsetAndMemcpyCheckTheirRanges) {
  DeviceArray<int> a(10);
  DeviceArray<int> b(10);
  ASSERT_TRUE(memset_async(a.data(), 0, 40, nullptr).ok());
  ASSERT_TRUE(memcpy_async(b.data(), a.data(), 40, nullptr).ok());
  EXPECT_EQ(b.to_vector(), std::vector<int>(10, 0));
  EXPECT_FALSE(memset_async(a.data(), 0, 41, nullptr).ok());
  EXPECT_FALSE(memcpy_async(b.data(), a.data() + 1, 40, nullptr).ok());
  int on_stack[10];
  EXPECT_FALSE(memset_async(on_stack, 0, 40, nullptr).ok());
}

TEST(EmulatedDevice, ImpossibleLaunchesAreErrors) {
  DeviceArray<int> counter(1);
  const auto attempt = [&](LaunchConfig config) {
    config.name = "lost";
    return launch(lost_update_kernel, config, counter.data()).message();
  };
  EXPECT_NE(attempt({.grid_x = 0}).find("the grid is out of range"), std::string::npos);
  EXPECT_NE(attempt({.grid_x = 1LL << 31}).find("the grid is out of range"), std::string::npos);
  EXPECT_NE(attempt({.grid_y = 65536}).find("the grid is out of range"), std::string::npos);
  EXPECT_NE(attempt({.block_threads = 1025}).find("1 to 1024 threads"), std::string::npos);
  EXPECT_NE(attempt({.block_threads = 0}).find("1 to 1024 threads"), std::string::npos);
  EXPECT_NE(attempt({.dynamic_shared_bytes = (227 << 10) + 1}).find("too much shared memory"),
            std::string::npos);
}

TEST(EmulatedDevice, OptionsCanBeGivenAsText) {
  const Options options =
      emulated::parse_options("order=shuffled,seed=7,check_shared_races=1,device=l4,l2_scale=0.5");
  EXPECT_EQ(options.order, Order::kShuffled);
  EXPECT_EQ(options.seed, 7U);
  EXPECT_TRUE(options.check_shared_races);
  EXPECT_FALSE(options.check_global_races);
  EXPECT_STREQ(options.device->name, "l4");
  EXPECT_EQ(options.l2_scale, 0.5);
  for (const char* text : {"order=sideways", "sed=7", "seed=seven", "seed", "device=h1000",
                           "poison=yes", "host_threads=2x"}) {
    EXPECT_THROW(emulated::parse_options(text), std::invalid_argument) << text;
  }
}

TEST(EmulatedDevice, SortIsStableAndComparesOnlyTheLowBits) {
  constexpr std::int64_t kNum = 3000;
  DeviceArray<std::uint32_t> keys(kNum);
  DeviceArray<std::uint32_t> sorted_keys(kNum);
  DeviceArray<std::int32_t> values(kNum);
  DeviceArray<std::int32_t> sorted_values(kNum);
  std::int64_t temp_bytes = 0;
  ASSERT_TRUE((sort_pairs_bytes<std::uint32_t, std::int32_t>(kNum, 11, &temp_bytes).ok()));
  DeviceArray<char> temp(static_cast<std::size_t>(temp_bytes));
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < kNum; ++i) {
    state = state * 1664525U + 1013904223U;
    keys[i] = state >> 8;
    values[i] = static_cast<std::int32_t>(i);
  }
  constexpr std::uint32_t kMask = (1U << 11) - 1;
  ASSERT_TRUE(sort_pairs(temp.data(), temp_bytes, keys.data(), sorted_keys.data(), values.data(),
                         sorted_values.data(), kNum, 11, nullptr)
                  .ok());
  for (std::size_t i = 0; i < kNum; ++i) {
    ASSERT_EQ(sorted_keys[i], keys[static_cast<std::size_t>(sorted_values[i])]);
    if (i > 0) {
      const std::uint32_t before = sorted_keys[i - 1] & kMask;
      const std::uint32_t after = sorted_keys[i] & kMask;
      ASSERT_LE(before, after);
      ASSERT_TRUE(before < after || sorted_values[i - 1] < sorted_values[i]);
    }
  }
}

}  // namespace
}  // namespace rowlane::simt
