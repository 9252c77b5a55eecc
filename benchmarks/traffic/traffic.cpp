#include "traffic/traffic.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>

#include "cuda/gather.h"
#include "cuda/simt/emulated/emulator.h"
#include "traffic/floors.h"

namespace rowlane::bench {
namespace {

namespace emulated = simt::emulated;

// Nothing depends on the values in it.
void* device_bytes(std::int64_t bytes) {
  const emulated::ScopedOptions scoped;
  scoped->poison = false;
  return emulated::device_alloc(bytes);
}

template <typename IndexT>
void fill_indices(void* to, const std::vector<std::int64_t>& indices) {
  std::transform(indices.begin(), indices.end(), static_cast<IndexT*>(to),
                 [](std::int64_t index) { return static_cast<IndexT>(index); });
}

using DeviceBytes = std::unique_ptr<void, decltype(&emulated::device_free)>;

DeviceBytes allocate(std::int64_t bytes) { return {device_bytes(bytes), &emulated::device_free}; }

void check(const kernels::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.message());
  }
}

Traffic measure_call(const std::function<kernels::Status()>& call, std::int64_t floor_bytes) {
  kernels::Status status;
  const emulated::Counts counts = emulated::measure([&] { status = call(); });
  check(status);
  return summarize(counts, floor_bytes);
}

}  // namespace

Traffic summarize(const emulated::Counts& counts, std::int64_t floor_bytes) {
  const emulated::LaunchCounts total = counts.total();
  Traffic traffic{.launches = total.launches,
                  .dram_read_bytes = total.l2.dram_read_bytes,
                  .dram_write_bytes = total.l2.dram_write_bytes,
                  .floor_bytes = floor_bytes,
                  .sector_use = total.sector_use(),
                  .longest_atomic_chain = total.l2.longest_atomic_chain,
                  .modelled_us = emulated::modelled_us(counts),
                  .slowest = {},
                  .counts = counts};
  double slowest_us = 0;
  for (const emulated::LaunchCounts& launch : counts.launches) {
    const emulated::ModelledTime time = emulated::modelled_time(launch, *counts.device);
    if (time.total_us > slowest_us) {
      slowest_us = time.total_us;
      traffic.slowest = launch.name + ": " + time.bound_by;
    }
  }
  return traffic;
}

TrafficMeter::TrafficMeter(const TrafficProblem& problem)
    : problem_(problem),
      table_(device_bytes(problem.num_rows * problem.row_bytes())),
      indices_(device_bytes(problem.num_indices() * problem.index_bytes())),
      output_(device_bytes(problem.num_indices() * problem.row_bytes())) {
  if (problem.index_type == kernels::IndexType::kInt32) {
    fill_indices<std::int32_t>(indices_, problem.indices);
  } else {
    fill_indices<std::int64_t>(indices_, problem.indices);
  }
}

TrafficMeter::~TrafficMeter() {
  for (void* const p : {table_, indices_, output_}) {
    if (p != nullptr) {
      emulated::device_free(p);
    }
  }
}

Traffic TrafficMeter::forward() const {
  return measure_call(
      [&] {
        return kernels::gather({.table = table_,
                                .num_rows = problem_.num_rows,
                                .row_bytes = problem_.row_bytes(),
                                .table_stride_bytes = problem_.row_bytes(),
                                .indices = indices_,
                                .index_type = problem_.index_type,
                                .num_indices = problem_.num_indices(),
                                .out = output_},
                               nullptr);
      },
      ideal_gather(problem_).dram_bytes());
}

kernels::BackwardProblem TrafficMeter::backward_problem(kernels::RowTarget target) const {
  return {.num_rows = problem_.num_rows,
          .dim = problem_.dim,
          .num_indices = problem_.num_indices(),
          .source = {.grad_output = output_},
          .target = target,
          .elem_type = problem_.elem_type,
          .index_type = problem_.index_type};
}

Traffic TrafficMeter::measure_backward(const kernels::BackwardProblem& problem,
                                       kernels::BackwardRequest request,
                                       const kernels::Tuning& tuning,
                                       std::int64_t floor_bytes) const {
  kernels::BackwardPolicy policy;
  kernels::BackwardWorkspace plan;
  check(select_backward_policy(problem, request, &policy, tuning));
  check(plan_backward_workspace(problem, policy, &plan));
  const auto workspace = allocate(plan.total_bytes);
  const auto row_numbers = allocate(8 * std::min(problem.num_rows, problem.num_indices));
  const auto num_slots = allocate(8);
  return measure_call(
      [&] {
        return kernels::backward({.problem = problem,
                                  .indices = indices_,
                                  .rows_out = table_,
                                  .row_numbers = static_cast<std::int64_t*>(row_numbers.get()),
                                  .num_slots = static_cast<std::int64_t*>(num_slots.get()),
                                  .workspace = workspace.get()},
                                 policy, nullptr);
      },
      floor_bytes +
          (policy.algorithm == kernels::ChosenBackward::kSorted ? sort_floor_bytes(problem_) : 0));
}

kernels::ChosenBackward TrafficMeter::chosen() const {
  kernels::BackwardPolicy policy;
  check(select_backward_policy(backward_problem(kernels::RowTarget::kDense),
                               kernels::BackwardRequest::kAuto, &policy));
  return policy.algorithm;
}

Traffic TrafficMeter::backward(kernels::BackwardRequest request,
                               const kernels::Tuning& tuning) const {
  return measure_backward(backward_problem(kernels::RowTarget::kDense), request, tuning,
                          backward_floor_bytes(problem_));
}

Traffic TrafficMeter::row_gradient() const {
  return measure_backward(backward_problem(kernels::RowTarget::kCompact),
                          kernels::BackwardRequest::kAuto, {}, row_gradient_floor_bytes(problem_));
}

Traffic TrafficMeter::step(kernels::StepRule rule) const {
  constexpr std::int64_t kStateBytes = 4;
  const std::int64_t num_states = rule == kernels::StepRule::kAdam ? 2 : 0;
  const std::int64_t state_bytes = problem_.num_rows * problem_.dim * kStateBytes;
  const DeviceBytes first = allocate(num_states > 0 ? state_bytes : 0);
  const DeviceBytes second = allocate(num_states > 1 ? state_bytes : 0);
  const kernels::RowStep step{.target = {.weight = table_,
                                         .num_rows = problem_.num_rows,
                                         .dim = problem_.dim,
                                         .elem_type = problem_.elem_type,
                                         .states = {num_states > 0 ? first.get() : nullptr,
                                                    num_states > 1 ? second.get() : nullptr},
                                         .states_are_float = true},
                              .rule = rule,
                              .numbers = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}};
  kernels::BackwardStepPlan plan;
  check(plan_backward_step(backward_problem(kernels::RowTarget::kStep), step, &plan));
  const DeviceBytes workspace = allocate(plan.total_bytes);
  return measure_call(
      [&] {
        return kernels::backward_step(
            {.step = step, .indices = indices_, .workspace = workspace.get()}, plan, nullptr);
      },
      step_floor_bytes(problem_, problem_.row_bytes() + num_states * problem_.dim * kStateBytes) +
          sort_floor_bytes(problem_));
}

}  // namespace rowlane::bench
