// Bytes that are written past the cache, for the files that are compiled once for each instruction
// set (lanes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "csrc/cpu/loops/lanes.h"

namespace rowlane::cpu::ROWLANE_ISA {
// Without a name, here and in what builds on this, so that the compiler inlines what is called
// once, whatever its size: a call for each row takes up to a tenth of the time of short rows.
namespace {  // NOLINT(google-build-namespaces)

// Past the cache where the processor can; `to` is aligned to the vector.
template <typename Vec>
void stream_vec(void* to, Vec value) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Vec) == 64) {
    _mm512_stream_si512(static_cast<__m512i*>(to), bits_as<__m512i>(value));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (sizeof(Vec) == 32) {
    _mm256_stream_si256(static_cast<__m256i*>(to), bits_as<__m256i>(value));
    return;
  }
#endif
#if defined(__SSE2__)
  if constexpr (sizeof(Vec) == 16) {
    _mm_stream_si128(static_cast<__m128i*>(to), bits_as<__m128i>(value));
    return;
  }
#endif
  std::memcpy(to, &value, sizeof(Vec));
}

// Before other threads may read what was streamed.
inline void end_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// Bytes from `data` to the next cache line.
inline std::int64_t bytes_to_line(const void* data) {
  return static_cast<std::int64_t>(-bits_as<std::uintptr_t>(data) % kLineBytes);
}

// A cache line at each end of what is streamed is written as usual, which costs a read of it: too
// much for a short row that is not whole lines.
constexpr std::int64_t kMinStreamBytes = 1024;

inline bool is_worth_streaming(std::int64_t row_bytes) {
  return row_bytes % kLineBytes == 0 || row_bytes >= kMinStreamBytes;
}

// Streams whole cache lines and writes the rest as usual.
inline void stream_copy(char* to, const char* from, std::int64_t bytes) {
  const std::int64_t head = bytes_to_line(to);
  if (bytes < head + kLineBytes) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
    return;
  }
  std::memcpy(to, from, static_cast<std::size_t>(head));
  std::int64_t i = head;
  for (; i + kLineBytes <= bytes; i += kLineBytes) {
    for (std::int64_t k = 0; k < kLineBytes; k += kVecBytes) {
      stream_vec(to + i + k, load_bits<Bytes>(from + i + k));
    }
  }
  std::memcpy(to + i, from + i, static_cast<std::size_t>(bytes - i));
}

inline void write_zeros(char* to, std::int64_t bytes, bool streams) {
  const std::int64_t head = bytes_to_line(to);
  if (!streams || bytes < kMinStreamBytes) {
    std::memset(to, 0, static_cast<std::size_t>(bytes));
    return;
  }
  std::memset(to, 0, static_cast<std::size_t>(head));
  std::int64_t i = head;
  for (; i + kLineBytes <= bytes; i += kLineBytes) {
    for (std::int64_t k = 0; k < kLineBytes; k += kVecBytes) {
      stream_vec(to + i + k, Bytes{});
    }
  }
  std::memset(to + i, 0, static_cast<std::size_t>(bytes - i));
}

}  // namespace
}  // namespace rowlane::cpu::ROWLANE_ISA
