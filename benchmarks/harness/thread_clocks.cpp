#include "harness/thread_clocks.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

namespace rowlane::bench {
namespace {

// A search for new threads takes longer than many calls.
constexpr int kCallsBetweenSearches = 64;

double now_ms(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

// Linux's name for the clock of a thread, as pthread_getcpuclockid() makes it.
clockid_t clock_of(int thread) {
  return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3U | 6U);
}

}  // namespace

void ThreadClocks::start() {
  if (num_calls_++ % kCallsBetweenSearches == 0) {
    find_threads();
  }
  for (ThreadClock& clock : clocks_) {
    clock.start_ms = now_ms(clock.id);
  }
}

double ThreadClocks::stop_ms() {
  double longest = 0.0;
  for (const ThreadClock& clock : clocks_) {
    longest = std::max(longest, now_ms(clock.id) - clock.start_ms);
  }
  return longest;
}

void ThreadClocks::find_threads() {
  clocks_.clear();
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    clocks_.push_back({clock_of(std::stoi(task.path().filename())), 0.0});
  }
}

}  // namespace rowlane::bench
