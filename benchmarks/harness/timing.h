// Times several calls side by side, so that their ratios mean something on a noisy machine.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "harness/thread_clocks.h"

namespace rowlane::bench {

// What is timed is `run` alone. The argument counts calls, so that data can rotate.
struct TimedCall {
  std::function<void(int call)> prepare;
  std::function<void(int call)> run;
  std::function<void()> release;
};

struct Timing {
  double median_ms = 0.0;
  double p20_ms = 0.0;
  double p80_ms = 0.0;
  int num_samples = 0;
};

struct TimingPlan {
  // Aimed at, for all calls together; `min_samples` come first.
  double budget_s = 1.0;
  int min_samples = 5;
  int max_samples = 200;
  // How long each call runs before the first sample.
  double warm_up_ms = 30.0;
  // The last-level cache is overwritten before each sample.
  bool is_cold = false;
  // On the CPU: the longest thread's processor time (ThreadClocks) in place of wall time.
  bool takes_processor_time = false;
};

// Wall time on the CPU, unless processor time is asked for; time between two events of the current
// stream on a GPU.
class Stopwatch {
 public:
  explicit Stopwatch(at::Device device, bool takes_processor_time = false);

  void start();
  double stop_ms();

 private:
  at::Device device_;
  std::chrono::steady_clock::time_point start_;
  std::optional<std::pair<c10::Event, c10::Event>> events_;
  std::optional<ThreadClocks> thread_clocks_;
};

// Takes samples of all calls in rounds, each round in a new order. A sample is the mean of so many
// calls that it lasts a fifth of a millisecond, each timed by itself. A call that is much slower
// than the others takes part in fewer rounds, spread evenly over the run.
std::vector<Timing> time_interleaved(const std::vector<TimedCall>& calls, const TimingPlan& plan,
                                     at::Device device);

// One call, once, without a warm-up.
double time_once_ms(const std::function<void()>& run, at::Device device);

}  // namespace rowlane::bench
