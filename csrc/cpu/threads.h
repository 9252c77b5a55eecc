// How work is dealt to torch's threads.
#pragma once

#include <ATen/Parallel.h>

#include <atomic>
#include <cstdint>

namespace rowlane::cpu {

// Starting a second thread costs some microseconds: less work than this is done sooner by one.
inline constexpr std::int64_t kSerialBytes = 400 << 10;

// Threads for work that moves `bytes` bytes.
inline std::int64_t threads_for(std::int64_t bytes) {
  return bytes < kSerialBytes || at::in_parallel_region() ? 1 : at::get_num_threads();
}

// Calls f(share) for every share in [0, num_shares); each thread takes neighbours.
template <typename F>
void for_each_share(std::int64_t num_shares, F&& f) {
  if (num_shares == 1) {
    f(std::int64_t{0});
    return;
  }
  at::parallel_for(0, num_shares, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share) {
      f(share);
    }
  });
}

// Calls f(block, thread) for every block in [0, num_blocks); each of num_threads threads takes the
// next one when it is done with the last, for blocks that take nobody knows how long.
template <typename F>
void for_each_block(std::int64_t num_blocks, std::int64_t num_threads, F&& f) {
  std::atomic<std::int64_t> next{0};
  for_each_share(num_threads, [&](std::int64_t thread) {
    for (std::int64_t block = next++; block < num_blocks; block = next++) {
      f(block, thread);
    }
  });
}

}  // namespace rowlane::cpu
