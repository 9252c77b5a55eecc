#include "harness/memory_probe.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>

namespace rowlane::bench {
namespace {

// torch's allocators report to the profiler of the calling thread, and autograd hands a thread's
// profiler on to the threads that it works in.
class PeakCounter : public c10::MemoryReportingInfoBase {
 public:
  explicit PeakCounter(at::DeviceType type) : type_(type) {}

  void reportMemoryUsage(void* /*ptr*/, std::int64_t alloc_size, std::size_t /*total_allocated*/,
                         std::size_t /*total_reserved*/, at::Device device) override {
    if (device.type() == type_) {
      const std::lock_guard lock(mutex_);
      current_bytes_ += alloc_size;
      peak_bytes_ = std::max(peak_bytes_, current_bytes_);
    }
  }

  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }

  [[nodiscard]] std::int64_t peak_bytes() const {
    const std::lock_guard lock(mutex_);
    return peak_bytes_;
  }

 private:
  at::DeviceType type_;
  mutable std::mutex mutex_;
  std::int64_t current_bytes_ = 0;
  std::int64_t peak_bytes_ = 0;
};

}  // namespace

std::int64_t measure_peak_bytes(const std::function<void()>& run, at::Device device) {
  const auto counter = std::make_shared<PeakCounter>(device.type());
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
    run();
  }
  return counter->peak_bytes();
}

std::optional<std::int64_t> available_bytes(at::Device device) {
  if (!device.is_cpu()) {
    return std::nullopt;
  }
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    constexpr const char* kKey = "MemAvailable:";
    if (line.rfind(kKey, 0) == 0) {
      return std::stoll(line.substr(std::char_traits<char>::length(kKey))) * 1024;
    }
  }
  return std::nullopt;
}

}  // namespace rowlane::bench
