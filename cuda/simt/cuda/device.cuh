// simt.cuh for nvcc: every function is one instruction, one intrinsic, or a few of them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "cuda/simt/hint.h"
#include "cuda/simt/vec.cuh"
#include "cuda/simt/warp.h"

#define ROWLANE_DEVICE __device__ __forceinline__
#define ROWLANE_UNROLL _Pragma("unroll")
#define ROWLANE_NO_UNROLL _Pragma("unroll 1")

namespace rowlane::simt {

using half = __half;
using bfloat16 = __nv_bfloat16;

template <typename T>
using Accum = std::conditional_t<std::is_same_v<T, double>, double, float>;

ROWLANE_DEVICE float to_accum(float x) { return x; }
ROWLANE_DEVICE double to_accum(double x) { return x; }
ROWLANE_DEVICE float to_accum(half x) { return __half2float(x); }
ROWLANE_DEVICE float to_accum(bfloat16 x) { return __bfloat162float(x); }

template <typename T>
ROWLANE_DEVICE T from_accum(Accum<T> x) {
  if constexpr (std::is_same_v<T, half>) {
    return __float2half_rn(x);
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    return __float2bfloat16_rn(x);
  } else {
    return x;
  }
}

ROWLANE_DEVICE int thread_id() { return static_cast<int>(threadIdx.x); }
ROWLANE_DEVICE std::int64_t block_id() { return blockIdx.x; }
ROWLANE_DEVICE int block_id_y() { return static_cast<int>(blockIdx.y); }
ROWLANE_DEVICE int block_size() { return static_cast<int>(blockDim.x); }
ROWLANE_DEVICE std::int64_t grid_size() { return gridDim.x; }
ROWLANE_DEVICE int lane_id() { return static_cast<int>(threadIdx.x & 31U); }
ROWLANE_DEVICE int warp_id() { return static_cast<int>(threadIdx.x >> 5U); }

ROWLANE_DEVICE void sync_block() { __syncthreads(); }
ROWLANE_DEVICE void sync_warp(std::uint32_t mask = kFullMask) { __syncwarp(mask); }
ROWLANE_DEVICE void fence_device() { __threadfence(); }
ROWLANE_DEVICE void fence_system() { __threadfence_system(); }

ROWLANE_DEVICE int popc(std::uint32_t x) { return __popc(x); }
ROWLANE_DEVICE int ffs(std::uint32_t x) { return __ffs(static_cast<int>(x)); }
ROWLANE_DEVICE int clz(std::uint32_t x) { return __clz(static_cast<int>(x)); }

ROWLANE_DEVICE float sqrt(float x) { return ::sqrtf(x); }
ROWLANE_DEVICE double sqrt(double x) { return ::sqrt(x); }
ROWLANE_DEVICE float pow(float x, float y) { return ::powf(x, y); }
ROWLANE_DEVICE double pow(double x, double y) { return ::pow(x, y); }

template <typename T>
ROWLANE_DEVICE T shfl(std::uint32_t mask, T value, int lane, int width = kWarpSize) {
  return __shfl_sync(mask, value, lane, width);
}
template <typename T>
ROWLANE_DEVICE T shfl_up(std::uint32_t mask, T value, int delta, int width = kWarpSize) {
  return __shfl_up_sync(mask, value, static_cast<unsigned>(delta), width);
}
template <typename T>
ROWLANE_DEVICE T shfl_down(std::uint32_t mask, T value, int delta, int width = kWarpSize) {
  return __shfl_down_sync(mask, value, static_cast<unsigned>(delta), width);
}
template <typename T>
ROWLANE_DEVICE T shfl_xor(std::uint32_t mask, T value, int lane_mask, int width = kWarpSize) {
  return __shfl_xor_sync(mask, value, lane_mask, width);
}
ROWLANE_DEVICE std::uint32_t ballot(std::uint32_t mask, bool pred) {
  return __ballot_sync(mask, pred);
}
ROWLANE_DEVICE bool any(std::uint32_t mask, bool pred) { return __any_sync(mask, pred) != 0; }
ROWLANE_DEVICE bool all(std::uint32_t mask, bool pred) { return __all_sync(mask, pred) != 0; }
template <typename T>
ROWLANE_DEVICE std::uint32_t match_any(std::uint32_t mask, T value) {
  return __match_any_sync(mask, value);
}

// The register form of an access of kBytes bytes.
template <int kBytes>
struct RawOf;
template <>
struct RawOf<1> {
  using Type = unsigned char;
};
template <>
struct RawOf<2> {
  using Type = unsigned short;
};
template <>
struct RawOf<4> {
  using Type = unsigned int;
};
template <>
struct RawOf<8> {
  using Type = uint2;
};
template <>
struct RawOf<16> {
  using Type = uint4;
};
template <typename T>
using Raw = typename RawOf<sizeof(T)>::Type;

template <Hint kHint>
ROWLANE_DEVICE std::uint64_t l2_policy() {
  std::uint64_t policy;
  if constexpr (kHint == Hint::kEvictFirst) {
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  } else {
    asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  }
  return policy;
}

// L2 cache policies exist from sm_80 on; before that a hint is ignored.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
inline constexpr bool kHasL2Policy = true;
#else
inline constexpr bool kHasL2Policy = false;
#endif

template <Hint kHint = Hint::kNone, typename T>
ROWLANE_DEVICE T load_nc(const T* p) {
  Raw<T> raw;
  if constexpr (kHint == Hint::kNone || sizeof(T) < 4 || !kHasL2Policy) {
    raw = __ldg(reinterpret_cast<const Raw<T>*>(p));
  } else if constexpr (sizeof(T) == 16) {
    asm("ld.global.nc.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
        : "=r"(raw.x), "=r"(raw.y), "=r"(raw.z), "=r"(raw.w)
        : "l"(p), "l"(l2_policy<kHint>()));
  } else if constexpr (sizeof(T) == 8) {
    asm("ld.global.nc.L2::cache_hint.v2.u32 {%0, %1}, [%2], %3;"
        : "=r"(raw.x), "=r"(raw.y)
        : "l"(p), "l"(l2_policy<kHint>()));
  } else {
    asm("ld.global.nc.L2::cache_hint.u32 %0, [%1], %2;"
        : "=r"(raw)
        : "l"(p), "l"(l2_policy<kHint>()));
  }
  return __builtin_bit_cast(T, raw);
}

template <typename T>
ROWLANE_DEVICE T load(const T* p) {
  return __builtin_bit_cast(T, *reinterpret_cast<const Raw<T>*>(p));
}

// A vector is stored by inline assembly: nvcc splits an ordinary store of values that were just
// computed into stores of their elements.
template <Hint kHint = Hint::kNone, typename T>
ROWLANE_DEVICE void store(T* p, std::type_identity_t<T> value) {
  const Raw<T> raw = __builtin_bit_cast(Raw<T>, value);
  constexpr bool kHinted = kHint != Hint::kNone && sizeof(T) >= 4 && kHasL2Policy;
  if constexpr (kHinted && sizeof(T) == 16) {
    asm volatile("st.global.L2::cache_hint.v4.u32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(p), "r"(raw.x),
                 "r"(raw.y), "r"(raw.z), "r"(raw.w), "l"(l2_policy<kHint>())
                 : "memory");
  } else if constexpr (kHinted && sizeof(T) == 8) {
    asm volatile("st.global.L2::cache_hint.v2.u32 [%0], {%1, %2}, %3;" ::"l"(p), "r"(raw.x),
                 "r"(raw.y), "l"(l2_policy<kHint>())
                 : "memory");
  } else if constexpr (kHinted) {
    asm volatile("st.global.L2::cache_hint.u32 [%0], %1, %2;" ::"l"(p), "r"(raw),
                 "l"(l2_policy<kHint>())
                 : "memory");
  } else if constexpr (sizeof(T) == 16) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(raw.x), "r"(raw.y),
                 "r"(raw.z), "r"(raw.w)
                 : "memory");
  } else if constexpr (sizeof(T) == 8) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(p), "r"(raw.x), "r"(raw.y) : "memory");
  } else {
    *reinterpret_cast<Raw<T>*>(p) = raw;
  }
}

ROWLANE_DEVICE void reduce_add_one(float* p, float x) {
  asm volatile("red.relaxed.gpu.global.add.f32 [%0], %1;" ::"l"(p), "f"(x) : "memory");
}
ROWLANE_DEVICE void reduce_add_one(double* p, double x) {
  asm volatile("red.relaxed.gpu.global.add.f64 [%0], %1;" ::"l"(p), "d"(x) : "memory");
}

// sm_90 has 8- and 16-byte float reductions.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
inline constexpr bool kHasVectorReductions = true;
#else
inline constexpr bool kHasVectorReductions = false;
#endif

// Adds to global memory without a result, relaxed, device scope. float and double only: sums are
// never accumulated in 16 bits.
template <typename T, int N>
ROWLANE_DEVICE void reduce_add(T* p, Vec<T, N> x) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  if constexpr (kHasVectorReductions && std::is_same_v<T, float> && N == 4) {
    asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(p), "f"(x.v[0]),
                 "f"(x.v[1]), "f"(x.v[2]), "f"(x.v[3])
                 : "memory");
  } else if constexpr (kHasVectorReductions && std::is_same_v<T, float> && N == 2) {
    asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %2};" ::"l"(p), "f"(x.v[0]),
                 "f"(x.v[1])
                 : "memory");
  } else {
    ROWLANE_UNROLL
    for (int i = 0; i < N; ++i) {
      reduce_add_one(p + i, x.v[i]);
    }
  }
}

// CUDA's atomics take int, unsigned and the long long types, but int64_t is long.
template <typename T>
using AtomicOperand =
    std::conditional_t<std::is_integral_v<T> && sizeof(T) == 8,
                       std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>, T>;

// The sum of two's complements does not depend on the sign.
template <typename T>
ROWLANE_DEVICE T atomic_add(T* p, std::type_identity_t<T> value) {
  using Operand = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<AtomicOperand<T>>,
                                     std::type_identity<T>>::type;
  return static_cast<T>(atomicAdd(reinterpret_cast<Operand*>(p), static_cast<Operand>(value)));
}
template <typename T>
ROWLANE_DEVICE T atomic_min(T* p, std::type_identity_t<T> value) {
  using Operand = AtomicOperand<T>;
  return static_cast<T>(atomicMin(reinterpret_cast<Operand*>(p), static_cast<Operand>(value)));
}
template <typename T>
ROWLANE_DEVICE T atomic_max(T* p, std::type_identity_t<T> value) {
  using Operand = AtomicOperand<T>;
  return static_cast<T>(atomicMax(reinterpret_cast<Operand*>(p), static_cast<Operand>(value)));
}

template <typename T>
class Shared {
 public:
  ROWLANE_DEVICE explicit Shared(T* p) : p_(p) {}
  ROWLANE_DEVICE T load(int i) const { return p_[i]; }
  ROWLANE_DEVICE void store(int i, T value) const { p_[i] = value; }
  ROWLANE_DEVICE void add(int i, T value) const { atomic_add(p_ + i, value); }

 private:
  T* p_;
};

template <typename Tag, typename T, int N>
ROWLANE_DEVICE Shared<T> shared() {
  __shared__ alignas(16) T array[N];
  return Shared<T>(array);
}

template <typename T>
ROWLANE_DEVICE Shared<T> shared_dynamic(int byte_offset = 0) {
  extern __shared__ __align__(16) unsigned char rowlane_dynamic_shared[];
  return Shared<T>(reinterpret_cast<T*>(rowlane_dynamic_shared + byte_offset));
}

}  // namespace rowlane::simt
