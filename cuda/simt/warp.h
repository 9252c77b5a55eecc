// What a warp is.
#pragma once

#include <cstdint>

namespace rowlane::simt {

inline constexpr std::uint32_t kFullMask = 0xffffffffU;
inline constexpr int kWarpSize = 32;

}  // namespace rowlane::simt
