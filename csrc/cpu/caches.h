// What fits into the processor's caches. Constants, because what the system says is what all cores
// of a machine have, and a process may get little of it (256 MiB on a virtual machine of 2 cores).
#pragma once

#include <cstdint>

namespace rowlane::cpu {

// Whether an output of this size is written past the cache: it would not stay there for its reader,
// and ordinary stores would read it first.
inline bool is_streamed(std::int64_t bytes) { return bytes >= std::int64_t{8} << 20; }

// Whether rows that lie anywhere in memory of this size are fetched ahead: in the caches of one
// core that costs more than it saves.
inline bool is_prefetched(std::int64_t bytes) { return bytes >= std::int64_t{1} << 20; }

}  // namespace rowlane::cpu
