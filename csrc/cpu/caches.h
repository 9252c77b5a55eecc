// What fits into the processor's caches. Constants, because what the system says is what all cores
// of a machine have, of which a process may get little (256 MiB on a virtual machine of 2 cores).
#pragma once

#include <cstdint>

namespace rowlane::cpu {

// Whether so much memory is written past the cache: it would not stay there for its reader, and
// ordinary stores would read it first.
inline bool is_streamed(std::int64_t bytes) { return bytes >= std::int64_t{8} << 20; }

// Whether rows of so much memory, in any order, are fetched ahead: in the caches of one core that
// costs more than it saves.
inline bool is_prefetched(std::int64_t bytes) { return bytes >= std::int64_t{1} << 20; }

}  // namespace rowlane::cpu
