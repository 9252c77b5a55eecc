#include "harness/timing.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>

namespace rowlane::bench {
namespace {

using Clock = std::chrono::steady_clock;

// A sample that lasts this long is far above the clock's resolution and the cost of reading it.
constexpr double kSampleMs = 0.2;
constexpr int kMaxCallsPerSample = 1000;
constexpr int kMinWarmUpCalls = 3;
constexpr double kSlowCallMs = 250.0;
// Calls slower than kSlowCallMs are warm after one call, and need few samples.
constexpr int kMinSlowSamples = 3;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Twice the last-level cache of today's largest GPUs, or of this CPU.
std::int64_t flush_bytes(at::Device device) {
  constexpr std::int64_t kGpuBytes = std::int64_t{256} << 20;
  constexpr std::int64_t kUnknownCpuBytes = std::int64_t{64} << 20;
  if (!device.is_cpu()) {
    return kGpuBytes;
  }
  const std::int64_t l3_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return l3_bytes > 0 ? 2 * l3_bytes : kUnknownCpuBytes;
}

// Overwrites a buffer that is larger than the last-level cache.
class CacheFlusher {
 public:
  CacheFlusher(bool is_enabled, at::Device device) {
    if (is_enabled) {
      buffer_ =
          at::empty({flush_bytes(device)}, at::TensorOptions().device(device).dtype(at::kByte));
    }
  }
  void flush() {
    if (buffer_.defined()) {
      buffer_.fill_(++value_);
    }
  }

 private:
  at::Tensor buffer_;
  std::uint8_t value_ = 0;
};

// One call with its samples and how often it is called for each.
class Sampler {
 public:
  Sampler(const TimedCall& call, Stopwatch& stopwatch, CacheFlusher& flusher)
      : call_(call), stopwatch_(stopwatch), flusher_(flusher) {}

  void warm_up(const TimingPlan& plan) {
    double best_ms = call_once();
    const auto start = Clock::now();
    double num_calls = 0.0;
    while (best_ms < kSlowCallMs &&
           (num_calls < kMinWarmUpCalls || ms_since(start) < plan.warm_up_ms)) {
      best_ms = std::min(best_ms, call_once());
      num_calls += 1.0;
    }
    if (!plan.is_cold) {
      calls_per_sample_ = static_cast<int>(
          std::clamp(std::ceil(kSampleMs / best_ms), 1.0, double{kMaxCallsPerSample}));
    }
    // The preparation of a slow call is taken to cost as much again.
    const double call_ms = num_calls > 0.0 ? ms_since(start) / num_calls : 2.0 * best_ms;
    sample_cost_ms_ = call_ms * calls_per_sample_;
    min_samples_ =
        best_ms < kSlowCallMs ? plan.min_samples : std::min(kMinSlowSamples, plan.min_samples);
  }

  // The share is this call's part of the budget.
  void plan_samples(double share_ms, const TimingPlan& plan) {
    const double affordable = share_ms / std::max(sample_cost_ms_, 1e-6);
    planned_samples_ =
        static_cast<int>(std::clamp(affordable, static_cast<double>(min_samples_),
                                    static_cast<double>(std::max(min_samples_, plan.max_samples))));
  }

  // Whether this call takes part in round `round` of `num_rounds`.
  [[nodiscard]] bool takes_part(int round, int num_rounds) const {
    const auto due = [&](std::int64_t r) { return r * planned_samples_ / num_rounds; };
    return due(round + 1) > due(round);
  }

  void take_sample() {
    double sum_ms = 0.0;
    for (int i = 0; i < calls_per_sample_; ++i) {
      sum_ms += call_once();
    }
    samples_ms_.push_back(sum_ms / calls_per_sample_);
  }

  [[nodiscard]] int planned_samples() const { return planned_samples_; }

  [[nodiscard]] Timing summary() {
    std::sort(samples_ms_.begin(), samples_ms_.end());
    const auto quantile = [&](double share) {
      const double position = share * static_cast<double>(samples_ms_.size() - 1);
      const auto below = static_cast<std::size_t>(position);
      const std::size_t above = std::min(below + 1, samples_ms_.size() - 1);
      return std::lerp(samples_ms_[below], samples_ms_[above], position - std::floor(position));
    };
    return {quantile(0.5), quantile(0.2), quantile(0.8), static_cast<int>(samples_ms_.size())};
  }

 private:
  double call_once() {
    const int call = num_calls_++;
    call_.prepare(call);
    flusher_.flush();
    stopwatch_.start();
    call_.run(call);
    const double ms = stopwatch_.stop_ms();
    call_.release();
    return ms;
  }

  const TimedCall& call_;
  Stopwatch& stopwatch_;
  CacheFlusher& flusher_;
  int num_calls_ = 0;
  int calls_per_sample_ = 1;
  int min_samples_ = 1;
  int planned_samples_ = 1;
  double sample_cost_ms_ = 0.0;
  std::vector<double> samples_ms_;
};

}  // namespace

Stopwatch::Stopwatch(at::Device device, bool takes_processor_time) : device_(device) {
  if (takes_processor_time) {
    thread_clocks_.emplace();
  }
  if (!device.is_cpu()) {
    // The backend's default flag is the one that records times.
    events_.emplace(c10::Event(device.type(), c10::EventFlag::BACKEND_DEFAULT),
                    c10::Event(device.type(), c10::EventFlag::BACKEND_DEFAULT));
  }
}

void Stopwatch::start() {
  if (events_) {
    events_->first.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  } else if (thread_clocks_) {
    thread_clocks_->start();
  } else {
    start_ = Clock::now();
  }
}

double Stopwatch::stop_ms() {
  if (thread_clocks_) {
    return thread_clocks_->stop_ms();
  }
  if (!events_) {
    return ms_since(start_);
  }
  events_->second.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  events_->second.synchronize();
  return events_->first.elapsedTime(events_->second);
}

std::vector<Timing> time_interleaved(const std::vector<TimedCall>& calls, const TimingPlan& plan,
                                     at::Device device) {
  Stopwatch stopwatch(device, plan.takes_processor_time);
  CacheFlusher flusher(plan.is_cold, device);
  std::vector<Sampler> samplers;
  samplers.reserve(calls.size());
  for (const TimedCall& call : calls) {
    samplers.emplace_back(call, stopwatch, flusher).warm_up(plan);
  }
  int num_rounds = 0;
  for (Sampler& sampler : samplers) {
    sampler.plan_samples(1e3 * plan.budget_s / static_cast<double>(calls.size()), plan);
    num_rounds = std::max(num_rounds, sampler.planned_samples());
  }
  std::vector<std::size_t> order(calls.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random;  // NOLINT(cert-msc51-cpp): the same orders in every run
  for (int round = 0; round < num_rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      if (samplers[i].takes_part(round, num_rounds)) {
        samplers[i].take_sample();
      }
    }
  }
  std::vector<Timing> timings;
  for (Sampler& sampler : samplers) {
    timings.push_back(sampler.summary());
  }
  return timings;
}

double time_once_ms(const std::function<void()>& run, at::Device device) {
  Stopwatch stopwatch(device);
  stopwatch.start();
  run();
  return stopwatch.stop_ms();
}

}  // namespace rowlane::bench
