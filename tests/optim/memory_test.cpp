// A fused step holds no gradient of the table, neither of all rows nor of those looked up.
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>

#include "rowlane/optim/adam.h"
#include "tests/optim/training.h"
#include "tests/support/devices.h"

namespace rowlane::testing {
namespace {

// torch's allocators report to the profiler of the thread that calls, and of autograd's threads.
class LargestAllocation : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*ptr*/, std::int64_t alloc_size, std::size_t /*total_allocated*/,
                         std::size_t /*total_reserved*/, at::Device /*device*/) override {
    const std::lock_guard lock(mutex_);
    bytes_ = std::max(bytes_, alloc_size);
  }
  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::mutex mutex_;
  std::int64_t bytes_ = 0;
};

std::int64_t largest_allocation(const std::function<void()>& run) {
  const auto largest = std::make_shared<LargestAllocation>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, largest);
  run();
  return largest->bytes();
}

// Of the backward pass and the step; the rows are looked up twice each.
std::int64_t largest_allocation_of_step(bool is_fused, const optim::RowOptions& options) {
  constexpr std::int64_t kManyRows = 20000;
  constexpr std::int64_t kWide = 256;
  nn::Embedding table(nn::EmbeddingOptions(kManyRows, kWide).row_gradient(true));
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.01), options);
  is_fused ? table->fuse(adam) : table->attach(adam);
  const auto indices = torch::arange(1000).repeat(2);
  const auto gradient = torch::randn({2000, kWide});
  std::int64_t largest = 0;
  for (int step = 0; step < 2; ++step) {  // the first makes the states
    adam.zero_grad();
    const auto rows = table(indices);
    largest = largest_allocation([&] {
      rows.backward(gradient);
      adam.step();
    });
  }
  return largest;
}

TEST(FusedStep, HoldsNoGradient) {
  if (runs_device_code(torch::kCPU)) {
    GTEST_SKIP() << "the emulated device's memory isn't reported to torch";
  }
  constexpr std::int64_t kGradientBytes = 1000 * 256 * 4;
  for (const auto semantics : {optim::RowSemantics::kLazy, optim::RowSemantics::kDenseEquivalent}) {
    const auto options = optim::RowOptions().semantics(semantics);
    EXPECT_LT(largest_allocation_of_step(/*is_fused=*/true, options), kGradientBytes / 8);
    // The probe sees a gradient where there is one.
    EXPECT_GE(largest_allocation_of_step(/*is_fused=*/false, options), kGradientBytes);
  }
}

}  // namespace
}  // namespace rowlane::testing
