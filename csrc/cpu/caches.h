// What fits into the processor's caches.
#pragma once

#include <unistd.h>

#include <cstdint>

namespace rowlane::cpu {

// Of the cache that all cores share.
inline std::int64_t last_level_cache_bytes() {
  constexpr std::int64_t kUnknown = std::int64_t{32} << 20;
  static const std::int64_t bytes = [] {
    const std::int64_t l3_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return l3_bytes > 0 ? l3_bytes : kUnknown;
  }();
  return bytes;
}

// Whether so much memory is written past the cache: it would not stay there for its reader, and
// ordinary stores would read it first.
inline bool is_streamed(std::int64_t bytes) { return bytes >= last_level_cache_bytes() / 4; }

// Whether rows of so much memory, in any order, are fetched ahead: in the caches of one core that
// costs more than it saves.
inline bool is_prefetched(std::int64_t bytes) { return bytes >= std::int64_t{1} << 20; }

}  // namespace rowlane::cpu
