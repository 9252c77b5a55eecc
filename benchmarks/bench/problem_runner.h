// Proves that the implementations agree on a problem, then times them.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "bench/result.h"
#include "bench/settings.h"
#include "workloads/index_batches.h"
#include "workloads/workload.h"

namespace rowlane::bench {

class ProblemRunner {
 public:
  using OnStep = std::function<void(const std::string& step)>;

  // `on_step` is told what is being done: "proving nn.Embedding", "timing forward". `ratings` may
  // be null when no problem needs them, and outlives the runner, as `settings` do.
  ProblemRunner(const Settings& settings, const Ratings* ratings, OnStep on_step);

  // Times for about `budget_s` seconds. Throws Disagreement, with a sentence that names the
  // implementation and the problem, before anything is timed.
  ProblemReport run(const Workload& workload, const Problem& problem, double budget_s);

 private:
  const Settings& settings_;
  const Ratings* ratings_;
  OnStep on_step_;
  // Products that took seconds: their time doesn't depend on the law of the indices.
  std::set<std::string> slow_products_;
};

}  // namespace rowlane::bench
