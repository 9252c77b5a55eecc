// Launches: the grid's blocks over the host threads, and the runtime calls that are not launches.
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>

#include "cuda/simt/emulated/counting.h"
#include "cuda/simt/emulated/emulator.h"
#include "cuda/simt/emulated/host_pool.h"
#include "cuda/simt/runtime.cuh"

namespace rowlane::simt {
namespace emulated {
namespace {

constexpr std::int64_t kMaxGridX = 0x7fffffff;
constexpr std::int64_t kMaxGridY = 65535;

// The device does one thing at a time, whichever host thread asks.
std::mutex& device_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::string describe(const LaunchConfig& config) {
  return std::string(config.name) + " <<<(" + std::to_string(config.grid_x) + ", " +
         std::to_string(config.grid_y) + "), " + std::to_string(config.block_threads) + ", " +
         std::to_string(config.dynamic_shared_bytes) + " B shared>>>";
}

Status check_config(const LaunchConfig& config) {
  const DeviceModel& device = *options().device;
  if (config.grid_x < 1 || config.grid_x > kMaxGridX || config.grid_y < 1 ||
      config.grid_y > kMaxGridY) {
    return Status::error(describe(config) + ": the grid is out of range");
  }
  if (config.block_threads < 1 || config.block_threads > kMaxBlockThreads) {
    return Status::error(describe(config) + ": a block has 1 to 1024 threads");
  }
  if (config.dynamic_shared_bytes < 0 ||
      config.dynamic_shared_bytes > device.info.shared_bytes_per_block) {
    return Status::error(describe(config) + ": too much shared memory, a block of " + device.name +
                         " has " + std::to_string(device.info.shared_bytes_per_block) + " bytes");
  }
  return {};
}

// The block that runs as number `sequence`.
class BlockOrder {
 public:
  BlockOrder(Order order, std::uint64_t seed, std::int64_t num_blocks)
      : order_(order), num_blocks_(static_cast<std::uint64_t>(num_blocks)) {
    // Multiplication by a number without a common factor permutes the blocks.
    factor_ = (0x9e3779b97f4a7c15ULL ^ seed) % num_blocks_ | 1U;
    while (std::gcd(factor_, num_blocks_) != 1) {
      factor_ += 2;
    }
  }

  [[nodiscard]] std::int64_t block(std::int64_t sequence) const {
    const auto number = static_cast<std::uint64_t>(sequence);
    switch (order_) {
      case Order::kReversed:
        return static_cast<std::int64_t>(num_blocks_ - 1 - number);
      case Order::kShuffled: {
        using Wide = unsigned __int128;
        return static_cast<std::int64_t>(Wide{number} * factor_ % num_blocks_);
      }
      case Order::kInOrder:
        break;
    }
    return sequence;
  }

 private:
  Order order_;
  std::uint64_t num_blocks_;
  std::uint64_t factor_ = 1;
};

// Processors are kept: their stacks and buffers cost more than a small launch.
Processor& processor(int worker) {
  static std::array<std::unique_ptr<Processor>, 256> processors;
  auto& slot = processors[static_cast<std::size_t>(worker)];
  if (slot == nullptr) {
    slot = std::make_unique<Processor>();
  }
  return *slot;
}

void end_counting(const Grid& grid, int workers) {
  LaunchCounts counts;
  for (int worker = 0; worker < workers; ++worker) {
    const Processor& self = processor(worker);
    counts.add(self.trace().counts());
    counts.shared_bytes_per_block = std::max(counts.shared_bytes_per_block, self.shared_bytes());
    Counting::instance().add_sites(grid.name, self.trace().sites());
  }
  counts.name = grid.name;
  counts.launches = 1;
  counts.block_threads = grid.block_threads;
  Counting::instance().end_launch(std::move(counts));
}

int num_workers(const Options& options, std::int64_t num_blocks) {
  if (options.check_global_races) {
    return 1;  // the numbering of epochs belongs to one processor
  }
  return static_cast<int>(
      std::clamp<std::int64_t>(std::min<std::int64_t>(options.host_threads, num_blocks), 1, 256));
}

}  // namespace

Status run_grid(const LaunchConfig& config, ThreadFunction run_thread, const void* arguments) {
  static HostPool pool;
  const std::lock_guard lock(device_mutex());
  ROWLANE_RETURN_IF_ERROR(check_config(config));
  const std::int64_t num_blocks = config.grid_x * config.grid_y;
  const int workers = num_workers(options(), num_blocks);
  const Grid grid{.name = config.name,
                  .size_x = config.grid_x,
                  .size_y = config.grid_y,
                  .block_threads = config.block_threads,
                  .dynamic_shared_bytes = config.dynamic_shared_bytes,
                  .run_thread = run_thread,
                  .arguments = arguments,
                  .parallel = workers > 1,
                  .sink = options().count ? &Counting::instance() : nullptr,
                  .options = options()};
  const BlockOrder order(grid.options.order, grid.options.seed, num_blocks);
  for (int worker = 0; worker < workers; ++worker) {
    processor(worker);
  }

  if (grid.sink != nullptr) {
    Counting::instance().begin_launch();
  }
  std::atomic<std::int64_t> next{0};
  std::mutex fault_mutex;
  std::int64_t first_fault = num_blocks;  // of several faults the earliest is reported
  std::string fault;
  pool.run(workers, [&](int worker) {
    Processor& self = processor(worker);
    self.begin_launch(grid);
    for (;;) {
      const std::int64_t sequence = next.fetch_add(1, std::memory_order_relaxed);
      if (sequence >= num_blocks) {
        return;
      }
      const std::int64_t block = order.block(sequence);
      if (!self.run_block(sequence, block % config.grid_x, block / config.grid_x)) {
        next.store(num_blocks, std::memory_order_relaxed);
        const std::lock_guard fault_lock(fault_mutex);
        if (sequence < first_fault) {
          first_fault = sequence;
          fault = self.fault();
        }
        return;
      }
    }
  });
  if (grid.sink != nullptr) {
    end_counting(grid, workers);
  }
  return fault.empty() ? Status() : Status::error(fault);
}

namespace {

Status check_range(const char* routine, const void* p, std::int64_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const Allocation* allocation = DeviceMemory::instance().find(address);
  if (allocation == nullptr && options().allow_host_memory) {
    return {};
  }
  const bool inside =
      allocation != nullptr && allocation->live && address >= allocation->begin &&
      static_cast<std::int64_t>(address - allocation->begin) + bytes <= allocation->bytes;
  if (bytes < 0 || !inside) {
    return Status::error(std::string(routine) + ": " + std::to_string(bytes) + " bytes from " +
                         DeviceMemory::instance().describe(address));
  }
  return {};
}

}  // namespace

Status library_reads(const char* routine, const void* p, std::int64_t bytes) {
  ROWLANE_RETURN_IF_ERROR(check_range(routine, p, bytes));
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const Allocation* allocation = DeviceMemory::instance().find(address);
  if (options().check_initialised && allocation != nullptr && allocation->initialised != nullptr &&
      !allocation->initialised->all_marked(static_cast<std::int64_t>(address - allocation->begin),
                                           bytes)) {
    return Status::error(std::string(routine) + ": uninitialised read within " +
                         std::to_string(bytes) + " bytes from " +
                         DeviceMemory::instance().describe(address));
  }
  return {};
}

// As CUB does it: a small sort takes one block; a larger one is a onesweep sort, which clears its
// counters, makes all histograms at once, scans them, and moves every pair once for each digit,
// each time clearing what its blocks look back at.
void count_sort(std::int64_t n, int bits, std::int64_t key_bytes, std::int64_t value_bytes) {
  if (!options().count) {
    return;
  }
  constexpr std::int64_t kSingleTileBytes = 256 * 19 * 4;
  const std::int64_t pair_bytes = n * (key_bytes + value_bytes);
  LaunchCounts counts{.name = "sort_pairs", .launches = 1};
  if (n * std::max<std::int64_t>({4, key_bytes, value_bytes}) <= kSingleTileBytes) {
    counts.l2.dram_read_bytes = counts.l2.dram_write_bytes = pair_bytes;
    counts.longest_load_chain = 1;
  } else {
    const int passes = (bits + 7) / 8;
    counts.launches = 2 + 2 + 2 * passes;
    counts.l2.dram_read_bytes = n * key_bytes + passes * pair_bytes;
    counts.l2.dram_write_bytes = passes * pair_bytes;
    counts.longest_load_chain = 2 + 3 * passes;  // histogram, scan; keys, look-back, values
  }
  counts.library_bytes = counts.l2.dram_bytes();
  Counting::instance().library_call(counts);
}

Status library_writes(const char* routine, void* p, std::int64_t bytes) {
  ROWLANE_RETURN_IF_ERROR(check_range(routine, p, bytes));
  mark_initialised(p, bytes);
  return {};
}

}  // namespace emulated

Status memset_async(void* p, int byte, std::int64_t bytes, Stream /*stream*/) {
  const std::lock_guard lock(emulated::device_mutex());
  if (bytes == 0) {
    return {};
  }
  ROWLANE_RETURN_IF_ERROR(emulated::library_writes("memset", p, bytes));
  std::memset(p, byte, static_cast<std::size_t>(bytes));
  if (emulated::options().count) {
    emulated::Counting::instance().copy("memset", p, nullptr, bytes);
  }
  return {};
}

Status memcpy_async(void* dst, const void* src, std::int64_t bytes, Stream /*stream*/) {
  const std::lock_guard lock(emulated::device_mutex());
  if (bytes == 0) {
    return {};
  }
  ROWLANE_RETURN_IF_ERROR(emulated::library_reads("memcpy", src, bytes));
  ROWLANE_RETURN_IF_ERROR(emulated::library_writes("memcpy", dst, bytes));
  std::memmove(dst, src, static_cast<std::size_t>(bytes));
  if (emulated::options().count) {
    emulated::Counting::instance().copy("memcpy", dst, src, bytes);
  }
  return {};
}

Status device_info(DeviceInfo* info) {
  const emulated::Options& options = emulated::options();
  *info = options.device->info;
  info->l2_bytes =
      static_cast<std::int64_t>(static_cast<double>(info->l2_bytes) * options.l2_scale);
  return {};
}

}  // namespace rowlane::simt
