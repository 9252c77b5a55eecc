#include "step/measure.h"

#include <ATen/Context.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "harness/format.h"
#include "harness/memory_probe.h"
#include "rowlane/huge_pages.h"
#include "step/first_step.h"
#include "workloads/index_batches.h"

namespace rowlane::bench {
namespace {

// The share of the free memory that the tables of a growth curve may take.
constexpr double kMemoryShare = 0.7;

struct LookUps {
  std::vector<at::Tensor> index_batches;
  at::Tensor output_grad;

  explicit LookUps(const Problem& problem)
      : index_batches(make_index_batches(problem, /*count=*/4, nullptr, at::kCPU)) {
    constexpr std::uint64_t kSeed = 1;
    constexpr std::int64_t kLargest = 4;
    at::manual_seed(kSeed);
    std::vector<std::int64_t> shape = problem.index_shape;
    shape.push_back(problem.dim);
    output_grad = at::randint(-kLargest, kLargest + 1, shape, problem.dtype);
  }

  [[nodiscard]] const at::Tensor& indices(int call) const {
    return index_batches[static_cast<std::size_t>(call) % index_batches.size()];
  }
};

TimedCall timed(const Stepper& stepper, const LookUps& look_ups) {
  return {.prepare = [](int) {},
          .run = [&](int call) { stepper.step(look_ups.indices(call), look_ups.output_grad); },
          .release = [] {}};
}

std::int64_t peak_bytes(const Stepper& stepper, const LookUps& look_ups) {
  return measure_peak_bytes([&] { stepper.step(look_ups.indices(0), look_ups.output_grad); },
                            at::kCPU);
}

TimingPlan timing_plan(const StepPlan& plan) {
  TimingPlan timing{.budget_s = plan.budget_s, .min_samples = 11};
  if (plan.is_quick) {
    timing = {.budget_s = 0.02, .min_samples = 2, .warm_up_ms = 1.0};
  }
  return timing;
}

std::int64_t bytes_with_states(StepOp op, const Problem& problem) {
  return problem.num_rows * problem.dim * problem.elem_bytes() * (1 + num_states(op));
}

}  // namespace

std::int64_t StepResult::floor_bytes() const {
  const std::int64_t row_bytes = problem.dim * problem.elem_bytes();
  const std::int64_t indices_bytes = problem.num_indices() * problem.index_bytes();
  const std::int64_t forward = (num_distinct_rows + problem.num_indices()) * row_bytes;
  const std::int64_t update =
      (problem.num_indices() + 2 * num_distinct_rows * (1 + num_states(op))) * row_bytes;
  return forward + update + 2 * indices_bytes;
}

StepReport compare_steps(StepOp op, const Problem& problem, const StepPlan& plan) {
  const at::Tensor table = at::randn({problem.num_rows, problem.dim}, problem.dtype);
  use_huge_pages(table);
  const LookUps look_ups(problem);
  const FirstStep first_step(op, table, look_ups.indices(0), look_ups.output_grad);
  const std::vector<Stepper> steppers = make_steppers(op, table);
  StepReport report;
  for (const Stepper& stepper : steppers) {
    plan.on_step("proving " + to_string(op) + ", " + display_name(stepper));
    report.results.push_back({.workload = "step",
                              .op = op,
                              .impl = stepper.impl,
                              .algorithm = stepper.algorithm,
                              .name = display_name(stepper),
                              .problem = problem,
                              .num_distinct_rows = first_step.num_distinct_rows(),
                              .max_abs_error = first_step.check(stepper)});
  }
  plan.on_step("timing " + to_string(op));
  std::vector<TimedCall> calls;
  for (std::size_t i = 0; i < steppers.size(); ++i) {
    report.results[i].peak_bytes = peak_bytes(steppers[i], look_ups);
    calls.push_back(timed(steppers[i], look_ups));
  }
  const std::vector<Timing> timings = time_interleaved(calls, timing_plan(plan), at::kCPU);
  for (std::size_t i = 0; i < timings.size(); ++i) {
    report.results[i].timing = timings[i];
  }
  return report;
}

StepReport measure_growth(const std::string& workload, StepOp op,
                          const std::vector<Problem>& problems, const StepPlan& plan) {
  plan.on_step("timing " + to_string(op) + " over " +
               (workload == "step-rows" ? "tables" : "look-ups") + " of different sizes");
  StepReport report;
  std::vector<Problem> fitting;
  std::int64_t needed = 0;
  const std::optional<std::int64_t> available = available_bytes(at::kCPU);
  for (const Problem& problem : problems) {
    // Neighbours with as many rows share a table.
    const bool is_shared = !fitting.empty() && fitting.back().num_rows == problem.num_rows;
    const std::int64_t bytes = is_shared ? 0 : bytes_with_states(op, problem);
    if (available &&
        static_cast<double>(needed + bytes) > kMemoryShare * static_cast<double>(*available)) {
      report.skips.push_back({.workload = workload,
                              .op = op,
                              .impl = "rowlane",
                              .problem = problem,
                              .reason = "the table and its state need " + format_bytes(bytes) +
                                        ", " + format_bytes(*available) + " are free"});
      continue;
    }
    needed += bytes;
    fitting.push_back(problem);
  }
  std::vector<std::unique_ptr<LookUps>> look_ups;
  std::vector<Stepper> steppers;
  for (const Problem& problem : fitting) {
    look_ups.push_back(std::make_unique<LookUps>(problem));
    if (!steppers.empty() && report.results.back().problem.num_rows == problem.num_rows) {
      steppers.push_back(steppers.back());
    } else {
      const at::Tensor table = at::empty({problem.num_rows, problem.dim}, problem.dtype);
      use_huge_pages(table);
      steppers.push_back(make_fused(op, table.fill_(1.0)));
    }
    const at::Tensor rows =
        std::get<0>(at::_unique2(look_ups.back()->indices(0).flatten(), /*sorted=*/false));
    report.results.push_back({.workload = workload,
                              .op = op,
                              .impl = steppers.back().impl,
                              .algorithm = steppers.back().algorithm,
                              .name = display_name(steppers.back()),
                              .problem = problem,
                              .num_distinct_rows = rows.numel()});
  }
  std::vector<TimedCall> calls;
  for (std::size_t i = 0; i < steppers.size(); ++i) {
    steppers[i].step(look_ups[i]->indices(0), look_ups[i]->output_grad);  // which makes the state
    report.results[i].peak_bytes = peak_bytes(steppers[i], *look_ups[i]);
    calls.push_back(timed(steppers[i], *look_ups[i]));
  }
  const std::vector<Timing> timings = time_interleaved(calls, timing_plan(plan), at::kCPU);
  for (std::size_t i = 0; i < timings.size(); ++i) {
    report.results[i].timing = timings[i];
  }
  return report;
}

}  // namespace rowlane::bench
