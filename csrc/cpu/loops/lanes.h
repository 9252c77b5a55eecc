// Vectors and rows in memory, for the files that are compiled once for each instruction set, as
// ROWLANE_ISA: everything here lies in a namespace of that name, so that no copy stands in for
// another's. In GCC's vector extensions: a vector has the width of the machine's registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace rowlane::cpu::ROWLANE_ISA {

#if defined(__AVX512F__)
inline constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVecBytes = 32;
#else
inline constexpr int kVecBytes = 16;
#endif

inline constexpr std::int64_t kLineBytes = 64;
// How much of a row is fetched ahead; the hardware fetches what follows.
inline constexpr std::int64_t kPrefetchRowBytes = 4096;
// How far ahead rows are fetched, in bytes of rows and in rows.
inline constexpr std::int64_t kPrefetchBytes = 4096;
inline constexpr std::int64_t kMinPrefetchRows = 2;
inline constexpr std::int64_t kMaxPrefetchRows = 16;

inline std::int64_t clamp(std::int64_t value, std::int64_t low, std::int64_t high) {
  return value < low ? low : (value > high ? high : value);
}

using Int16Vec = std::uint16_t __attribute__((vector_size(kVecBytes / 2)));
using Int32Vec = std::uint32_t __attribute__((vector_size(kVecBytes)));
using FloatVec = float __attribute__((vector_size(kVecBytes)));
using DoubleVec = double __attribute__((vector_size(kVecBytes)));
using Bytes = char __attribute__((vector_size(kVecBytes)));

struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

template <typename To, typename From>
To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

template <typename To>
To load_bits(const void* from) {
  To to;
  std::memcpy(&to, from, sizeof(To));
  return to;
}

#if !defined(__F16C__)
// From half, in the low 16 bits of Bits, to float and back to the nearest, ties to even: one number
// or a vector of them. Source: M. Dukhan's FP16 library, whose NaNs these are, too.
template <typename Float, typename Bits>
Float widen_half(Bits half) {
  const Bits shifted = half << 17U;  // without the sign
  const auto normal = bits_as<Float>((shifted >> 4U) + (0xe0U << 23U)) * 0x1p-112F;
  const auto subnormal = bits_as<Float>((shifted >> 17U) | (126U << 23U)) - 0.5F;
  const Bits magnitude = shifted < (1U << 27U) ? bits_as<Bits>(subnormal) : bits_as<Bits>(normal);
  return bits_as<Float>(((half & 0x8000U) << 16U) | magnitude);
}

template <typename Bits, typename Float>
Bits narrow_half(Float value) {
  const auto bits = bits_as<Bits>(value);
  const Bits shifted = bits << 1U;  // without the sign
  const Bits exponent = shifted & 0xff000000U;
  const Bits bias = exponent < 0x71000000U ? 0x71000000U : exponent;
  // What is too large for half becomes infinite, and the addition rounds the rest.
  const Float base = bits_as<Float>(shifted >> 1U) * 0x1p+112F * 0x1p-110F;
  const auto rounded = bits_as<Bits>(bits_as<Float>((bias >> 1U) + 0x07800000U) + base);
  const Bits magnitude = ((rounded >> 13U) & 0x7c00U) + (rounded & 0xfffU);
  return ((bits >> 16U) & 0x8000U) | (shifted > 0xff000000U ? 0x7e00U : magnitude);
}
#endif

// The type in which rows of ElemT are summed, as one value and as a register of them, and the
// conversions to it and back.
template <typename ElemT>
struct Lane;

template <>
struct Lane<float> {
  using Accum = float;
  using Vec = FloatVec;
  static float load(const float* from) { return *from; }
  static void store(float* to, float value) { *to = value; }
  static Vec load_vec(const float* from) { return load_bits<Vec>(from); }
  static Vec narrow(Vec value) { return value; }
};

template <>
struct Lane<double> {
  using Accum = double;
  using Vec = DoubleVec;
  static double load(const double* from) { return *from; }
  static void store(double* to, double value) { *to = value; }
  static Vec load_vec(const double* from) { return load_bits<Vec>(from); }
  static Vec narrow(Vec value) { return value; }
};

template <>
struct Lane<BFloat16> {
  using Accum = float;
  using Vec = FloatVec;
  static float load(const BFloat16* from) {
    return bits_as<float>(static_cast<std::uint32_t>(from->bits) << 16U);
  }
  // To the nearest, ties to even; a NaN stays one.
  static void store(BFloat16* to, float value) {
    const auto bits = bits_as<std::uint32_t>(value);
    to->bits = value != value
                   ? std::uint16_t{0x7fc0}
                   : static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
  }
  static Vec load_vec(const BFloat16* from) {
    return bits_as<Vec>(__builtin_convertvector(load_bits<Int16Vec>(from), Int32Vec) << 16U);
  }
  static Int16Vec narrow(Vec value) {
    const auto bits = bits_as<Int32Vec>(value);
    const Int32Vec rounded = (bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U;
    const auto is_nan = bits_as<Int32Vec>(value != value);
    return __builtin_convertvector((rounded & ~is_nan) | (0x7fc0U & is_nan), Int16Vec);
  }
};

template <>
struct Lane<Half> {
  using Accum = float;
  using Vec = FloatVec;
#if defined(__F16C__)
  static float load(const Half* from) { return _cvtsh_ss(from->bits); }
  static void store(Half* to, float value) {
    to->bits = static_cast<std::uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
  }
#if defined(__AVX512F__)
  // GCC takes the forms without a mask for a use of uninitialised memory.
  static Vec load_vec(const Half* from) {
    return bits_as<Vec>(_mm512_maskz_cvtph_ps(0xffff, load_bits<__m256i>(from)));
  }
  static Int16Vec narrow(Vec value) {
    return bits_as<Int16Vec>(
        _mm512_maskz_cvtps_ph(0xffff, bits_as<__m512>(value), _MM_FROUND_TO_NEAREST_INT));
  }
#else
  static Vec load_vec(const Half* from) {
    return bits_as<Vec>(_mm256_cvtph_ps(load_bits<__m128i>(from)));
  }
  static Int16Vec narrow(Vec value) {
    return bits_as<Int16Vec>(_mm256_cvtps_ph(bits_as<__m256>(value), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
#else
  static float load(const Half* from) { return widen_half<float>(std::uint32_t{from->bits}); }
  static void store(Half* to, float value) {
    to->bits = static_cast<std::uint16_t>(narrow_half<std::uint32_t>(value));
  }
  static Vec load_vec(const Half* from) {
    return widen_half<Vec>(__builtin_convertvector(load_bits<Int16Vec>(from), Int32Vec));
  }
  static Int16Vec narrow(Vec value) {
    return __builtin_convertvector(narrow_half<Int32Vec>(value), Int16Vec);
  }
#endif
};

template <typename ElemT>
using AccumOf = Lane<ElemT>::Accum;
template <typename ElemT>
using VecOf = Lane<ElemT>::Vec;

template <typename ElemT>
inline constexpr std::int64_t kLanes = kVecBytes / sizeof(AccumOf<ElemT>);

// Rounded to the nearest, like the processor's.
inline float sqrt_of(float value) { return __builtin_sqrtf(value); }
inline double sqrt_of(double value) { return __builtin_sqrt(value); }
#if defined(__AVX512F__)
// GCC takes the forms without a mask for a use of uninitialised memory.
inline FloatVec sqrt_vec(FloatVec value) {
  return bits_as<FloatVec>(_mm512_maskz_sqrt_ps(0xffff, bits_as<__m512>(value)));
}
inline DoubleVec sqrt_vec(DoubleVec value) {
  return bits_as<DoubleVec>(_mm512_maskz_sqrt_pd(0xff, bits_as<__m512d>(value)));
}
#elif defined(__AVX2__)
inline FloatVec sqrt_vec(FloatVec value) {
  return bits_as<FloatVec>(_mm256_sqrt_ps(bits_as<__m256>(value)));
}
inline DoubleVec sqrt_vec(DoubleVec value) {
  return bits_as<DoubleVec>(_mm256_sqrt_pd(bits_as<__m256d>(value)));
}
#elif defined(__SSE2__)
inline FloatVec sqrt_vec(FloatVec value) {
  return bits_as<FloatVec>(_mm_sqrt_ps(bits_as<__m128>(value)));
}
inline DoubleVec sqrt_vec(DoubleVec value) {
  return bits_as<DoubleVec>(_mm_sqrt_pd(bits_as<__m128d>(value)));
}
#else
template <typename Vec>
Vec sqrt_vec(Vec value) {
  for (std::size_t i = 0; i < sizeof(Vec) / sizeof(value[0]); ++i) {
    value[i] = sqrt_of(value[i]);
  }
  return value;
}
#endif

template <typename Unit>
void copy_with_overlap(char* to, const char* from, std::int64_t bytes) {
  const auto last = load_bits<Unit>(from + bytes - sizeof(Unit));
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(sizeof(Unit)) <= bytes; i += sizeof(Unit)) {
    const auto unit = load_bits<Unit>(from + i);
    std::memcpy(to + i, &unit, sizeof(Unit));
  }
  std::memcpy(to + bytes - sizeof(Unit), &last, sizeof(Unit));
}

// Without a call for short rows.
inline void copy_row(char* to, const char* from, std::int64_t bytes) {
  if (bytes >= kVecBytes) {
    copy_with_overlap<Bytes>(to, from, bytes);
  } else if (bytes >= 8) {
    copy_with_overlap<std::uint64_t>(to, from, bytes);
  } else {
    for (std::int64_t i = 0; i < bytes; ++i) {
      to[i] = from[i];
    }
  }
}

// Always inlined, as is what calls only this: GCC takes a function that does nothing but fetch for
// one that does nothing, and drops the call.
template <bool kToWrite>
[[gnu::always_inline]] inline void fetch_row_of(const void* row, std::int64_t bytes) {
  const char* const begin = static_cast<const char*>(row);
  const std::int64_t end = bytes < kPrefetchRowBytes ? bytes : kPrefetchRowBytes;
  for (std::int64_t i = 0; i < end; i += kLineBytes) {
    __builtin_prefetch(begin + i, kToWrite ? 1 : 0);
  }
  __builtin_prefetch(begin + end - 1, kToWrite ? 1 : 0);
}

[[gnu::always_inline]] inline void prefetch_row(const void* row, std::int64_t bytes) {
  fetch_row_of<false>(row, bytes);
}

// Takes the row from other cores, too: otherwise its first store waits for that.
[[gnu::always_inline]] inline void prefetch_row_to_write(const void* row, std::int64_t bytes) {
  fetch_row_of<true>(row, bytes);
}

inline std::int64_t prefetch_rows_ahead(std::int64_t row_bytes,
                                        std::int64_t bytes = kPrefetchBytes) {
  return clamp(bytes / row_bytes, kMinPrefetchRows, kMaxPrefetchRows);
}

}  // namespace rowlane::cpu::ROWLANE_ISA
