// What an access does, as the checks and counters see it.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/simt/hint.h"
#include "cuda/simt/vec.cuh"

namespace rowlane::simt::emulated {

enum class MemoryOp : std::uint8_t {
  kLoad,
  kStore,
  kReduce,  // an atomic without a result
  kAtomic,  // one that returns the old value
};

constexpr bool is_atomic(MemoryOp op) { return op == MemoryOp::kReduce || op == MemoryOp::kAtomic; }
constexpr bool is_load(MemoryOp op) { return op == MemoryOp::kLoad || op == MemoryOp::kAtomic; }

// Could an address be computed from the value? The estimate of dependent loads (warp_timeline.h)
// asks. Integers of 4 and 8 bytes may be row numbers or positions; everything else is data.
enum class ValueKind : std::uint8_t { kData, kIndex };

template <typename T>
inline constexpr ValueKind kValueKind = std::is_integral_v<T> && sizeof(T) >= 4 ? ValueKind::kIndex
                                                                                : ValueKind::kData;
// Vectors of narrower integers are raw bytes of rows.
template <typename T, int N>
inline constexpr ValueKind kValueKind<Vec<T, N>> = std::is_integral_v<T> && sizeof(T) == 8
                                                       ? ValueKind::kIndex
                                                       : ValueKind::kData;

struct AccessType {
  MemoryOp op = MemoryOp::kLoad;
  Hint hint = Hint::kNone;
  ValueKind value = ValueKind::kData;
  bool read_only = false;  // a load that promises that the launch does not write there
};

}  // namespace rowlane::simt::emulated
