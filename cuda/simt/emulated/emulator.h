// The emulated device as tests and tools see it: its memory and what it checks.
#pragma once

#include <cstdint>

#include "cuda/simt/emulated/device_model.h"
#include "cuda/simt/emulated/options.h"

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

}  // namespace rowlane::simt::emulated
