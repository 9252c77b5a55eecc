// Advice to the L2 cache.
#pragma once

#include <cstdint>

namespace rowlane::simt {

// What the L2 should think of an access: streamed once (kEvictFirst), or wanted again (kEvictLast).
enum class Hint : std::uint8_t { kNone, kEvictFirst, kEvictLast };

}  // namespace rowlane::simt
