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

Traffic measure_call(const std::function<kernels::Status()>& call, std::int64_t floor_bytes) {
  kernels::Status status;
  const emulated::Counts counts = emulated::measure([&] { status = call(); });
  if (!status.ok()) {
    throw std::runtime_error(status.message());
  }
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
                  .slowest = {}};
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

Traffic TrafficMeter::backward(kernels::BackwardRequest request) const {
  const kernels::BackwardProblem backward_problem{.num_rows = problem_.num_rows,
                                                  .dim = problem_.dim,
                                                  .num_indices = problem_.num_indices(),
                                                  .elem_type = problem_.elem_type,
                                                  .index_type = problem_.index_type};
  std::unique_ptr<void, decltype(&emulated::device_free)> workspace(nullptr,
                                                                    &emulated::device_free);
  const bool is_sorted = request != kernels::BackwardRequest::kAtomic;
  return measure_call(
      [&]() -> kernels::Status {
        kernels::BackwardPolicy policy;
        ROWLANE_RETURN_IF_ERROR(select_backward_policy(backward_problem, request, &policy));
        kernels::BackwardWorkspace plan;
        ROWLANE_RETURN_IF_ERROR(plan_backward_workspace(backward_problem, policy, &plan));
        workspace.reset(device_bytes(plan.total_bytes));
        return kernels::backward({.problem = backward_problem,
                                  .grad_output = output_,
                                  .indices = indices_,
                                  .rows_out = table_,
                                  .workspace = workspace.get()},
                                 policy, nullptr);
      },
      backward_floor_bytes(problem_) + (is_sorted ? sort_floor_bytes(problem_) : 0));
}

}  // namespace rowlane::bench
