// What the emulated device checks, counts and pretends to be. One set for the whole process.
#pragma once

#include <cstdint>
#include <string_view>

#include "cuda/simt/emulated/device_model.h"

namespace rowlane::simt::emulated {

// Of threads within a block and of blocks within a grid.
enum class Order : std::uint8_t { kInOrder, kReversed, kShuffled };

struct Options {
  // Schedule. A correct kernel gives the same result under every one of them.
  Order order = Order::kInOrder;
  std::uint64_t seed = 1;  // of kShuffled and of preemption
  int preempt_every =
      0;  // switches threads at one in so many memory accesses; 0: only where a thread waits
  int host_threads = 1;  // that run blocks

  // Checks, beyond those of bounds and alignment, which are always made.
  bool check_shared_races = false;  // within a block, in shared memory
  bool check_global_races =
      false;  // in global memory, between blocks as well; runs on one host thread
  bool check_initialised =
      false;  // reads of what nothing wrote, in allocations made while this is set
  bool allow_host_memory = false;  // pointers outside device memory are used unchecked
  bool poison = true;              // fresh device and shared memory reads as NaN and -1
  // A block that makes more memory accesses than this is taken to wait for what never comes.
  std::int64_t max_block_accesses = 4'000'000'000;

  // Counting (emulator.h: measure).
  bool count = false;
  int interleaved_blocks =
      1;  // whose accesses reach the L2 in turn, as they would from blocks that run at once
  bool l1 = true;             // a block's repeated loads of a sector stay within its SM
  int dram_fetch_bytes = 32;  // that a read miss fetches: 32 or 64

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
