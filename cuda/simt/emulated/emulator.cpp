#include "cuda/simt/emulated/emulator.h"

#include "cuda/simt/emulated/counting.h"
#include "cuda/simt/emulated/device_memory.h"

namespace rowlane::simt::emulated {

void* device_alloc(std::int64_t bytes) {
  return DeviceMemory::instance().allocate(bytes, options().poison, options().check_initialised);
}

void device_free(void* p) { DeviceMemory::instance().free(p); }

bool is_device_memory(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const Allocation* allocation = DeviceMemory::instance().find(address);
  return allocation != nullptr && allocation->live && address >= allocation->begin &&
         static_cast<std::int64_t>(address - allocation->begin) < allocation->bytes;
}

void mark_initialised(const void* p, std::int64_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  Allocation* allocation = DeviceMemory::instance().find(address);
  if (allocation != nullptr && allocation->initialised != nullptr) {
    allocation->initialised->mark(static_cast<std::int64_t>(address - allocation->begin), bytes);
  }
}

Counts measure(const std::function<void()>& work, CacheStart start) {
  const ScopedOptions scoped;
  scoped->count = true;
  Counting::instance().restart(start);
  work();
  return Counting::instance().finish();
}

}  // namespace rowlane::simt::emulated
