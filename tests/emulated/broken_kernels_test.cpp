// Deliberately broken kernels: the emulated device must catch each by name, and pass its correct
// twin.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/runtime.cuh"
#include "tests/kernels/device_array.h"

namespace rowlane::simt {
namespace {

using emulated::Order;
using emulated::ScopedOptions;

// The fault names the kernel, what is wrong, the place in this file, the block and a thread.
void expect_fault(const Status& status, const std::string& kernel, const std::string& what) {
  const std::string& message = status.message();
  EXPECT_EQ(message.find(kernel + ": "), 0U) << message;
  EXPECT_NE(message.find(what), std::string::npos) << "wanted: " << what << "\ngot: " << message;
  EXPECT_NE(message.find("broken_kernels_test.cpp:"), std::string::npos) << message;
  EXPECT_NE(message.find("block ("), std::string::npos) << message;
  EXPECT_NE(message.find("thread"), std::string::npos) << message;
}

void expect_success(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }

enum class Sync : std::uint8_t { kNone, kWarp, kBlock };

// Each thread reads what the thread at the other end of the block wrote.
template <Sync kSync>
__global__ void mirror_kernel(float* out) {
  const auto values = shared<struct Values, float, 64>();
  values.store(thread_id(), static_cast<float>(thread_id()));
  if constexpr (kSync == Sync::kWarp) {
    sync_warp();
  } else if constexpr (kSync == Sync::kBlock) {
    sync_block();
  }
  store(out + thread_id(), values.load(63 - thread_id()));
}

TEST(BrokenKernels, MissingBarrier) {
  DeviceArray<float> out(64);
  for (const Order order : {Order::kInOrder, Order::kReversed, Order::kShuffled}) {
    ScopedOptions scoped;
    scoped->check_shared_races = true;
    scoped->order = order;
    const LaunchConfig config{.name = "mirror", .block_threads = 64};
    expect_fault(launch(mirror_kernel<Sync::kNone>, config, out.data()), "mirror",
                 "race on shared memory");
    expect_fault(launch(mirror_kernel<Sync::kWarp>, config, out.data()), "mirror",
                 "race on shared memory");
    expect_success(launch(mirror_kernel<Sync::kBlock>, config, out.data()));
  }
}

template <bool kSyncWarp>
__global__ void neighbour_kernel(float* out) {
  const auto values = shared<struct Values, float, 64>();
  values.store(thread_id(), 1.0F);
  if constexpr (kSyncWarp) {
    sync_warp();
  }
  float sum = values.load(thread_id()) + values.load(thread_id() ^ 1);
  if constexpr (kSyncWarp) {
    sync_warp();
  }
  values.store(thread_id(), sum);  // several lanes have read this element
  store(out + thread_id(), sum);
}

TEST(BrokenKernels, MissingWarpBarrier) {
  ScopedOptions scoped;
  scoped->check_shared_races = true;
  DeviceArray<float> out(64);
  const LaunchConfig config{.name = "neighbour", .block_threads = 64};
  expect_fault(launch(neighbour_kernel<false>, config, out.data()), "neighbour",
               "race on shared memory");
  expect_success(launch(neighbour_kernel<true>, config, out.data()));
}

template <bool kAtomic>
__global__ void histogram_kernel(int* out) {
  const auto counts = shared<struct Counts, int, 4>();
  if (thread_id() < 4) {
    counts.store(thread_id(), 0);
  }
  sync_block();
  const int bin = thread_id() % 4;
  if constexpr (kAtomic) {
    counts.add(bin, 1);
  } else {
    counts.store(bin, counts.load(bin) + 1);
  }
  sync_block();
  if (thread_id() < 4) {
    store(out + thread_id(), counts.load(thread_id()));
  }
}

TEST(BrokenKernels, LostAtomicInSharedMemory) {
  ScopedOptions scoped;
  scoped->check_shared_races = true;
  DeviceArray<int> out(4);
  const LaunchConfig config{.name = "histogram", .block_threads = 64};
  expect_fault(launch(histogram_kernel<false>, config, out.data()), "histogram",
               "race on shared memory");
  expect_success(launch(histogram_kernel<true>, config, out.data()));
  EXPECT_EQ(out.to_vector(), std::vector<int>(4, 16));
}

// The last row's number is compared with <= where < is meant.
template <bool kBroken>
__global__ void fill_rows_kernel(float* table, std::int64_t num_rows, int dim) {
  const std::int64_t row = block_id();
  const bool inside = kBroken ? row <= num_rows : row < num_rows;
  for (int column = thread_id(); inside && column < dim; column += block_size()) {
    store(table + row * dim + column, 1.0F);
  }
}

TEST(BrokenKernels, OffByOneRow) {
  for (const int dim : {1, 3, 128, 4096}) {
    DeviceArray<float> table(static_cast<std::size_t>(5 * dim));
    const LaunchConfig config{.name = "fill_rows", .grid_x = 6, .block_threads = 32};
    expect_fault(launch(fill_rows_kernel<true>, config, table.data(), 5, dim), "fill_rows",
                 "out-of-bounds write of 4 bytes");
    expect_success(launch(fill_rows_kernel<false>, config, table.data(), 5, dim));
  }
}

__global__ void read_before_kernel(const float* in, float* out) {
  store(out + thread_id(), load_nc(in + thread_id() - 1));
}

TEST(BrokenKernels, ReadBeforeTheFirstRow) {
  DeviceArray<float> in(32);
  DeviceArray<float> out(32);
  in.fill(0);
  expect_fault(launch(read_before_kernel, {.name = "read_before", .block_threads = 32}, in.data(),
                      out.data()),
               "read_before", "out-of-bounds read of 4 bytes");
}

__global__ void vector_copy_kernel(const float* in, float* out) {
  using Vec4 = Vec<float, 4>;
  store(reinterpret_cast<Vec4*>(out) + thread_id(),
        load_nc(reinterpret_cast<const Vec4*>(in) + thread_id()));
}

TEST(BrokenKernels, MisalignedVector) {
  DeviceArray<float> in(36);
  DeviceArray<float> out(32);
  in.fill(0);
  const LaunchConfig config{.name = "vector_copy", .block_threads = 8};
  expect_fault(launch(vector_copy_kernel, config, in.data() + 1, out.data()), "vector_copy",
               "misaligned read of 16 bytes");
  expect_success(launch(vector_copy_kernel, config, in.data() + 4, out.data()));
}

// The product of row and dim is taken in 32 bits.
template <typename OffsetT>
__global__ void wide_table_kernel(const std::uint8_t* table, std::uint8_t* out, std::uint32_t row,
                                  std::uint32_t dim) {
  const auto offset = static_cast<OffsetT>(static_cast<std::int64_t>(row) * dim);
  store(out + thread_id(), load_nc(table + offset + thread_id()));
}

TEST(BrokenKernels, ThirtyTwoBitOverflowOfAnAddress) {
  ScopedOptions scoped;
  scoped->poison = false;  // leaves the 4 GB untouched
  DeviceArray<std::uint8_t> table(std::size_t{4} << 30);
  DeviceArray<std::uint8_t> out(32);
  const LaunchConfig config{.name = "wide_table", .block_threads = 32};
  expect_fault(
      launch(wide_table_kernel<std::int32_t>, config, table.data(), out.data(), 3U, 1U << 30),
      "wide_table", "out-of-bounds read");
  expect_success(
      launch(wide_table_kernel<std::int64_t>, config, table.data(), out.data(), 3U, 1U << 30));
}

// Each thread copies its own row from left to right, so a warp touches 32 rows at once.
template <bool kBroken>
__global__ void copy_rows_kernel(const float* in, float* out, int dim) {
  if constexpr (kBroken) {
    for (int column = 0; column < dim; ++column) {
      const int i = thread_id() * dim + column;
      store(out + i, load_nc(in + i));
    }
  } else {
    for (int i = thread_id(); i < block_size() * dim; i += block_size()) {
      store(out + i, load_nc(in + i));
    }
  }
}

TEST(BrokenKernels, UncoalescedAccess) {
  DeviceArray<float> in(64 * 64);
  DeviceArray<float> out(64 * 64);
  const auto sector_use = [&](auto kernel) {
    return emulated::measure([&] {
             expect_success(launch(kernel, {.name = "copy_rows", .block_threads = 64}, in.data(),
                                   out.data(), 64));
           })
        .kernel("copy_rows")
        .sector_use();
  };
  EXPECT_EQ(sector_use(copy_rows_kernel<true>), 4.0 / 32.0);
  EXPECT_EQ(sector_use(copy_rows_kernel<false>), 1.0);
}

template <bool kAtomic>
__global__ void count_blocks_kernel(int* count) {
  if (thread_id() == 0) {
    if constexpr (kAtomic) {
      atomic_add(count, 1);
    } else {
      store(count, load(count) + 1);
    }
  }
}

TEST(BrokenKernels, LostAtomic) {
  ScopedOptions scoped;
  scoped->check_global_races = true;
  DeviceArray<int> count(1);
  count.fill(0);
  const LaunchConfig config{.name = "count_blocks", .grid_x = 2, .block_threads = 32};
  expect_fault(launch(count_blocks_kernel<false>, config, count.data()), "count_blocks",
               "race on global memory: a read meets a write of another block");
  expect_success(launch(count_blocks_kernel<true>, config, count.data()));
}

// Block 1 reads what block 0 writes, which is right only if block 0 happens to run first.
__global__ void chain_kernel(int* values) {
  const std::int64_t block = block_id();
  store(values + block, block == 0 ? 1 : load(values + block - 1) + 1);
}

TEST(BrokenKernels, BlockThatReliesOnAnEarlierBlock) {
  ScopedOptions scoped;
  scoped->check_global_races = true;
  DeviceArray<int> values(2);
  for (const Order order : {Order::kInOrder, Order::kReversed}) {
    scoped->order = order;
    expect_fault(launch(chain_kernel, {.name = "chain", .grid_x = 2}, values.data()), "chain",
                 "of another block");
  }
}

// load_nc promises that the launch does not write there; a thread breaks that promise by itself.
template <bool kReadOnly>
__global__ void reread_kernel(float* values, bool write_first) {
  float* const mine = values + thread_id();
  float sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    if ((pass == 0) == write_first) {
      store(mine, 1.0F);
    } else if constexpr (kReadOnly) {
      sum += load_nc(mine);
    } else {
      sum += load(mine);
    }
  }
  store(values + 64 + thread_id(), sum);
}

TEST(BrokenKernels, ReadOnlyLoadOfWhatTheLaunchWrites) {
  ScopedOptions scoped;
  scoped->check_global_races = true;
  DeviceArray<float> values(128);
  const LaunchConfig config{.name = "reread", .block_threads = 32};
  expect_fault(launch(reread_kernel<true>, config, values.data(), true), "reread",
               "a read-only load meets a write of the same launch");
  expect_fault(launch(reread_kernel<true>, config, values.data(), false), "reread",
               "a write meets a read-only load of the same launch");
  expect_success(launch(reread_kernel<false>, config, values.data(), true));
  expect_success(launch(reread_kernel<false>, config, values.data(), false));
}

// Half of the warp sums, but the mask names all of it; or the mask lacks a lane that is read.
__global__ void half_warp_kernel(int* out, std::uint32_t mask, int delta) {
  if (lane_id() < 16) {
    store(out + thread_id(), shfl_down(mask, lane_id(), delta));
  }
}

TEST(BrokenKernels, WrongShuffleMask) {
  DeviceArray<int> out(32);
  const LaunchConfig config{.name = "half_warp", .block_threads = 32};
  expect_fault(launch(half_warp_kernel, config, out.data(), 0xffffU, 8), "half_warp",
               "wrong mask: a shuffle reads lane 16");
  expect_fault(launch(half_warp_kernel, config, out.data(), 0xff00U, 0), "half_warp",
               "wrong mask: the caller's lane is not in the mask");
  expect_success(launch(half_warp_kernel, config, out.data(), 0xffffU, 0));
}

// Lanes of one shuffle disagree on who takes part.
__global__ void disagreeing_masks_kernel(int* out) {
  const std::uint32_t mask = lane_id() < 16 ? kFullMask : 0xfffffff0U;
  store(out + thread_id(), lane_id() < 4 ? 0 : shfl(mask, lane_id(), 8));
}

TEST(BrokenKernels, DisagreeingMasks) {
  DeviceArray<int> out(32);
  expect_fault(
      launch(disagreeing_masks_kernel, {.name = "disagreeing", .block_threads = 32}, out.data()),
      "disagreeing", "wrong mask: a shuffle with mask 0x");
}

template <bool kBroken>
__global__ void divergent_barrier_kernel(int* out) {
  if constexpr (kBroken) {
    if (thread_id() < 32) {
      sync_block();
    } else {
      sync_block();
    }
  } else {
    sync_block();
  }
  store(out + thread_id(), 1);
}

TEST(BrokenKernels, DivergentBarrier) {
  DeviceArray<int> out(64);
  const LaunchConfig config{.name = "divergent", .block_threads = 64};
  expect_fault(launch(divergent_barrier_kernel<true>, config, out.data()), "divergent",
               "divergent barrier");
  expect_success(launch(divergent_barrier_kernel<false>, config, out.data()));
}

// One warp waits for the other at the barrier, which waits in a vote for the first.
__global__ void deadlock_kernel(int* out) {
  if (thread_id() < 40) {
    sync_block();
  } else {
    ballot(kFullMask, true);
  }
  store(out + thread_id(), 1);
}

TEST(BrokenKernels, Deadlock) {
  DeviceArray<int> out(64);
  const Status status =
      launch(deadlock_kernel, {.name = "deadlock", .block_threads = 64}, out.data());
  expect_fault(status, "deadlock", "deadlock: threads 0-39 wait in sync_block at");
  EXPECT_NE(status.message().find("threads 40-63 wait in a vote with mask 0xffffffff"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("0 of 64 threads have exited"), std::string::npos);
}

// Every block waits until the one before it is done, but nothing promises that it has begun.
__global__ void spin_kernel(int* done) {
  while (block_id() > 0 && load(done + block_id() - 1) == 0) {
  }
  store(done + block_id(), 1);
}

TEST(BrokenKernels, WaitingForABlockThatHasNotBegun) {
  ScopedOptions scoped;
  scoped->max_block_accesses = 1000;
  DeviceArray<int> done(4);
  const LaunchConfig config{.name = "spin", .grid_x = 4};
  done.fill(0);
  expect_success(launch(spin_kernel, config, done.data()));
  scoped->order = Order::kReversed;
  done.fill(0);
  expect_fault(launch(spin_kernel, config, done.data()), "spin",
               "endless loop: 1000 accesses of a block that does not finish");
}

TEST(BrokenKernels, UseAfterFree) {
  DeviceArray<float> out(32);
  auto* in = static_cast<float*>(emulated::device_alloc(128));
  const LaunchConfig config{.name = "vector_copy", .block_threads = 8};
  expect_success(launch(vector_copy_kernel, config, in, out.data()));
  emulated::device_free(in);
  expect_fault(launch(vector_copy_kernel, config, in, out.data()), "vector_copy",
               "use after free: read of 16 bytes");
}

TEST(BrokenKernels, HostPointer) {
  DeviceArray<float> out(32);
  alignas(16) const float in[32] = {};
  const LaunchConfig config{.name = "vector_copy", .block_threads = 8};
  expect_fault(launch(vector_copy_kernel, config, in, out.data()), "vector_copy",
               "memory that the device does not own");
  ScopedOptions scoped;
  scoped->allow_host_memory = true;
  expect_success(launch(vector_copy_kernel, config, in, out.data()));
}

TEST(BrokenKernels, UninitialisedRead) {
  ScopedOptions scoped;
  scoped->check_initialised = true;
  DeviceArray<float> in(32);
  DeviceArray<float> out(32);
  const LaunchConfig config{.name = "vector_copy", .block_threads = 8};
  for (std::size_t i = 0; i < 31; ++i) {
    in[i] = 0;
  }
  expect_fault(launch(vector_copy_kernel, config, in.data(), out.data()), "vector_copy",
               "uninitialised read of 16 bytes");
  in[31] = 0;
  expect_success(launch(vector_copy_kernel, config, in.data(), out.data()));
  expect_success(launch(vector_copy_kernel, config, out.data(), in.data()));
}

TEST(BrokenKernels, UninitialisedMemoryStaysSoThroughMemcpy) {
  ScopedOptions scoped;
  scoped->check_initialised = true;
  DeviceArray<float> a(32);
  DeviceArray<float> b(32);
  EXPECT_NE(memcpy_async(b.data(), a.data(), 128, nullptr).message().find("uninitialised read"),
            std::string::npos);
  expect_success(memset_async(a.data(), 0, 128, nullptr));
  expect_success(memcpy_async(b.data(), a.data(), 128, nullptr));
}

template <int kIndex>
__global__ void shared_index_kernel(int* out) {
  const auto values = shared<struct Values, int, 8>();
  values.store(0, 1);
  store(out, values.load(kIndex));
}

TEST(BrokenKernels, SharedArrayOutOfBoundsOrUninitialised) {
  ScopedOptions scoped;
  scoped->check_initialised = true;
  DeviceArray<int> out(1);
  const LaunchConfig config{.name = "shared_index"};
  expect_success(launch(shared_index_kernel<0>, config, out.data()));
  expect_fault(launch(shared_index_kernel<1>, config, out.data()), "shared_index",
               "uninitialised read of element 1 of a shared array of 8");
  expect_fault(launch(shared_index_kernel<8>, config, out.data()), "shared_index",
               "out-of-bounds access to element 8 of a shared array of 8");
  expect_fault(launch(shared_index_kernel<-1>, config, out.data()), "shared_index",
               "out-of-bounds access to element -1");
}

__global__ void big_shared_kernel(int* out) {
  const auto values = shared<struct Values, int, (48 << 8) + 1>();
  values.store(0, 1);
  store(out, values.load(0));
}

TEST(BrokenKernels, TooMuchStaticSharedMemory) {
  DeviceArray<int> out(1);
  expect_fault(launch(big_shared_kernel, {.name = "big_shared"}, out.data()), "big_shared",
               "too much shared memory");
}

__global__ void static_and_dynamic_kernel(int* out) {
  const auto values = shared<struct Some, int, 4 << 8>();
  values.store(0, 1);
  store(out, values.load(0));
}

TEST(BrokenKernels, TooMuchStaticAndDynamicSharedMemoryTogether) {
  DeviceArray<int> out(1);
  const auto attempt = [&](std::int64_t dynamic_bytes) {
    return launch(static_and_dynamic_kernel,
                  {.name = "static_and_dynamic", .dynamic_shared_bytes = dynamic_bytes},
                  out.data());
  };
  expect_success(attempt(44 << 10));
  expect_fault(attempt((44 << 10) + 16), "static_and_dynamic", "too much shared memory");
  expect_success(attempt(49 << 10));  // for which the runtime is asked
}

}  // namespace
}  // namespace rowlane::simt
