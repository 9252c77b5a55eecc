#include "harness/memory_streams.h"

#include <ATen/Parallel.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <new>

#include "harness/format.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace rowlane::bench {
namespace {

constexpr std::int64_t kLineBytes = 64;
// From here on a result doesn't stay in the cache for its reader, so it is written past it.
constexpr std::int64_t kStreamedBytes = 8 << 20;
// Less would be copied in pieces too short for speed.
constexpr std::int64_t kMinSourceBytes = 64 << 10;

std::int64_t whole_lines(std::int64_t bytes) {
  return (bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
}

void copy(char* to, const char* from, std::int64_t bytes, bool streams) {
#if defined(__SSE2__)
  if (streams) {
    for (std::int64_t i = 0; i < bytes; i += std::int64_t{sizeof(__m128i)}) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
    _mm_sfence();
    return;
  }
#endif
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

void read(const char* from, std::int64_t bytes) {
  // Four chains of additions, so that none waits for another.
  using Vec = std::uint64_t __attribute__((vector_size(16)));
  Vec sums[4]{};
  for (std::int64_t i = 0; i < bytes; i += kLineBytes) {
    for (std::size_t k = 0; k < 4; ++k) {
      Vec vec;
      std::memcpy(&vec, from + i + k * sizeof(Vec), sizeof(Vec));
      sums[k] += vec;
    }
  }
  [[maybe_unused]] const volatile Vec used = sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

std::string Streams::name() const {
  if (copied_bytes >= std::max(zero_bytes, read_bytes)) {
    return "copy";
  }
  return zero_bytes >= read_bytes ? "zeros" : "read";
}

StreamRunner::StreamRunner(const Streams& streams)
    : streams_{.copied_bytes = whole_lines(streams.copied_bytes),
               .source_bytes = std::max(kMinSourceBytes, whole_lines(streams.source_bytes)),
               .zero_bytes = whole_lines(streams.zero_bytes),
               .read_bytes = whole_lines(streams.read_bytes)},
      source_(allocate(streams_.source_bytes)),
      read_(allocate(streams_.read_bytes)),
      out_(allocate(streams_.copied_bytes + streams_.zero_bytes)) {}

StreamRunner::Memory StreamRunner::allocate(std::int64_t bytes) {
  constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
  const std::size_t size = (static_cast<std::size_t>(bytes) / kHugePageBytes + 1) * kHugePageBytes;
  Memory memory(static_cast<char*>(std::aligned_alloc(kHugePageBytes, size)));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
#ifdef MADV_HUGEPAGE
  static_cast<void>(madvise(memory.get(), size, MADV_HUGEPAGE));
#endif
  // Not zeros, because memory may take those faster than other data.
  for (std::size_t i = 0; i < size; ++i) {
    memory[i] = static_cast<char>(i * 0x9e3779b1U >> 11U);
  }
  return memory;
}

void StreamRunner::run() const {
  const char* const source = source_.get();
  char* const out = out_.get();
  const bool streams = streams_.copied_bytes + streams_.zero_bytes >= kStreamedBytes;
  const auto num_shares = static_cast<std::int64_t>(at::get_num_threads());
  at::parallel_for(0, num_shares, 1, [&](std::int64_t first, std::int64_t last) {
    const auto part = [&](std::int64_t bytes, std::int64_t share) {
      return bytes / kLineBytes * share / num_shares * kLineBytes;
    };
    const std::int64_t end = part(streams_.copied_bytes, last);
    for (std::int64_t i = part(streams_.copied_bytes, first); i < end;) {
      const std::int64_t from = i % streams_.source_bytes;
      const std::int64_t bytes = std::min(end - i, streams_.source_bytes - from);
      copy(out + i, source + from, bytes, streams);
      i += bytes;
    }
    const std::int64_t zero_begin = part(streams_.zero_bytes, first);
    std::memset(out + streams_.copied_bytes + zero_begin, 0,
                static_cast<std::size_t>(part(streams_.zero_bytes, last) - zero_begin));
    const std::int64_t read_begin = part(streams_.read_bytes, first);
    read(read_.get() + read_begin, part(streams_.read_bytes, last) - read_begin);
  });
}

Bandwidth measure_bandwidth() {
  constexpr std::int64_t kBytes = std::int64_t{256} << 20;
  constexpr std::int64_t kCachedBytes = std::int64_t{64} << 10;
  constexpr int kRepeats = 7;
  const auto best_gb_per_s = [](const Streams& streams) {
    const StreamRunner runner(streams);
    double best_s = std::numeric_limits<double>::infinity();
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      const auto start = std::chrono::steady_clock::now();
      runner.run();
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      best_s = std::min(best_s, seconds.count());
    }
    return static_cast<double>(kBytes) / best_s / 1e9;
  };
  return {.threads = at::get_num_threads(),
          .copy_gb_per_s = best_gb_per_s({.copied_bytes = kBytes, .source_bytes = kBytes}),
          .fill_gb_per_s = best_gb_per_s({.copied_bytes = kBytes, .source_bytes = kCachedBytes}),
          .zero_gb_per_s = best_gb_per_s({.zero_bytes = kBytes}),
          .read_gb_per_s = best_gb_per_s({.read_bytes = kBytes})};
}

std::string describe(const Bandwidth& bandwidth) {
  return "memory, " + std::to_string(bandwidth.threads) +
         (bandwidth.threads == 1 ? " thread" : " threads") + ": copy " +
         format_rate(bandwidth.copy_gb_per_s) + ", fill " + format_rate(bandwidth.fill_gb_per_s) +
         ", zeros " + format_rate(bandwidth.zero_gb_per_s) + ", read " +
         format_rate(bandwidth.read_gb_per_s) + " GB/s";
}

}  // namespace rowlane::bench
