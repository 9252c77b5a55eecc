// What the emulated device checks, counts and pretends to be. One set for the whole process.
#pragma once

#include <cstdint>
#include <string_view>

#include "cuda/simt/emulated/device_model.h"

namespace rowlane::simt::emulated {

// In which threads of a block and blocks of a grid run.
enum class Order : std::uint8_t { kInOrder, kReversed, kShuffled };

struct Options {
  // Schedule. A correct kernel gives the same result under every one of them.
  Order order = Order::kInOrder;
  // For kShuffled and for preemption.
  std::uint64_t seed = 1;
  // Switches threads at one in this many memory accesses as well; 0: only where a thread waits.
  int preempt_every = 0;
  // Host threads that run blocks.
  int host_threads = 1;

  // Checks, beyond those of bounds and alignment, which are always made.
  //
  // Races within a block, in shared memory.
  bool check_shared_races = false;
  // Races in global memory, between blocks as well. Blocks then run on one host thread, and each
  // byte that a kernel touches takes 36 bytes of the host.
  bool check_global_races = false;
  // Reads of what nothing wrote: in shared memory, and in allocations made while this is set.
  bool check_initialised = false;
  // Pointers outside device memory are used unchecked instead of being errors.
  bool allow_host_memory = false;
  // Fresh device and shared memory reads as NaN and -1.
  bool poison = true;
  // A block that makes more memory accesses than this is taken to wait for what never comes.
  std::int64_t max_block_accesses = 4'000'000'000;

  // Counting, which measure() (emulator.h) sets.
  bool count = false;
  // Blocks whose accesses reach the L2 in turn, as they would from blocks that run at once.
  int interleaved_blocks = 1;
  // A block's repeated loads of a sector stay within its SM.
  bool l1 = true;
  // What a read miss of the L2 fetches: 32 or 64.
  int dram_fetch_bytes = 32;
  const DeviceModel* device = &default_device();
  // Times the L2 of the device: a run scaled down by a factor keeps its ratio to the cache.
  double l2_scale = 1.0;
};

// The options in force. They start as the environment variable ROWLANE_EMULATOR says, for instance
// "order=shuffled,seed=7,check_shared_races=1", which is how a whole test suite runs in another
// schedule. Throws std::invalid_argument, at the first call, when that text makes no sense.
Options& options();

// Changes `options` as the text says: fields by their names above, separated by commas; the orders
// are in_order, reversed and shuffled. Throws std::invalid_argument.
Options parse_options(std::string_view text, Options options = {});

// Restores the options at the end of a scope:
//   ScopedOptions scoped;
//   scoped->check_shared_races = true;
class ScopedOptions {
 public:
  ScopedOptions() : saved_(options()) {}
  explicit ScopedOptions(const Options& replacement) : ScopedOptions() { options() = replacement; }
  ~ScopedOptions() { options() = saved_; }
  ScopedOptions(const ScopedOptions&) = delete;
  ScopedOptions& operator=(const ScopedOptions&) = delete;

  Options* operator->() const { return &options(); }

 private:
  Options saved_;
};

}  // namespace rowlane::simt::emulated
