// The emulated device as tests and tools see it: its memory, its checks, its counters, its model of
// time.
//
//   ScopedOptions scoped;                      // options.h: schedules, checks, the device
//   scoped->check_shared_races = true;
//   Status status;
//   const Counts counts = measure([&] { status = launch_something(...); });
//   counts.total().l2.dram_read_bytes          // counts.h: exact, the same in every run
//   modelled_us(counts)                        // time_model.h: a model
//   L2Model floor(device->info.l2_bytes)       // l2_model.h: the traffic of an ideal trace
#pragma once

#include <cstdint>
#include <functional>

#include "cuda/simt/emulated/counts.h"
#include "cuda/simt/emulated/device_model.h"
#include "cuda/simt/emulated/l2_model.h"
#include "cuda/simt/emulated/options.h"
#include "cuda/simt/emulated/time_model.h"

namespace rowlane::simt::emulated {

// Device memory. Contents are undefined (poisoned), addresses are multiples of 256 and no more, and
// no access outside an allocation goes unnoticed. Returns nullptr for no bytes; throws
// std::bad_alloc.
void* device_alloc(std::int64_t bytes);
// Throws std::invalid_argument for anything that device_alloc did not return or that is already
// free.
void device_free(void* p);
bool is_device_memory(const void* p);

// Tells the check of uninitialised reads about memory that host code wrote.
void mark_initialised(const void* p, std::int64_t bytes);

enum class CacheStart : std::uint8_t {
  kCold,  // the L2 is empty
  kWarm,  // the L2 is as the last measurement left it; nothing in it is dirty
};

// Counts what `work` does on the device. What is dirty in the L2 at the end is written back and
// counted.
Counts measure(const std::function<void()>& work, CacheStart start = CacheStart::kCold);

}  // namespace rowlane::simt::emulated
