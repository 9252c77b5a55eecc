#include "bars/measure.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/embedding_sparse_backward.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <set>

#include "csrc/cpu/row_gradient.h"
#include "implementation.h"
#include "inputs.h"
#include "rowlane/embedding.h"

namespace rowlane::bench {
namespace {

constexpr std::int64_t kNoPadding = -1;

at::Tensor dense_backward(const at::Tensor& grad, const at::Tensor& indices,
                          std::int64_t num_rows) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("rowlane::embedding_backward", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt,
                            std::optional<c10::SymInt>, bool, std::string_view)>();
  return op.call(grad, indices, num_rows, std::nullopt, false, "auto");
}

// The result lives until the clock has stopped.
TimedCall timed(const std::function<at::Tensor(int call)>& run) {
  const auto result = std::make_shared<at::Tensor>();
  return {.prepare = [](int) {},
          .run = [run, result](int call) { *result = run(call); },
          .release = [result] { result->reset(); }};
}

// A forward and backward pass through autograd.
TimedCall timed_step(Implementation implementation, const Inputs& inputs) {
  return {.prepare = [](int) {},
          .run =
              [implementation, &inputs](int call) mutable {
                implementation.forward(inputs.indices(call)).backward(inputs.output_grad);
              },
          .release = [implementation]() mutable { implementation.clear_gradient(); }};
}

std::function<at::Tensor(int)> rowlane_call(Measure measure, const Inputs& inputs) {
  switch (measure) {
    case Measure::kForward:
      return [&](int call) { return rowlane::embedding(inputs.table, inputs.indices(call)); };
    case Measure::kBackwardDense:
      return [&](int call) {
        return dense_backward(inputs.output_grad, inputs.indices(call), inputs.table.size(0));
      };
    default:
      return [&](int call) {
        return std::get<1>(cpu::row_gradient("rowlane-bars", inputs.output_grad,
                                             inputs.indices(call), inputs.table.size(0), kNoPadding,
                                             false));
      };
  }
}

std::function<at::Tensor(int)> torch_call(Measure measure, const Inputs& inputs) {
  switch (measure) {
    case Measure::kForward:
      return [&](int call) { return at::embedding(inputs.table, inputs.indices(call)); };
    case Measure::kBackwardDense:
      return [&](int call) {
        return at::embedding_dense_backward(inputs.output_grad, inputs.indices(call),
                                            inputs.table.size(0), kNoPadding, false);
      };
    default:
      return [&](int call) {
        return at::embedding_sparse_backward(inputs.output_grad, inputs.indices(call),
                                             inputs.table.size(0), kNoPadding, false)
            .coalesce();
      };
  }
}

// The same call with a number of threads that is set, and the pool ready, before the clock starts.
TimedCall on_threads(int num_threads, const std::function<at::Tensor(int)>& run) {
  TimedCall call = timed(run);
  call.prepare = [num_threads](int) {
    at::set_num_threads(num_threads);
    at::parallel_for(0, num_threads, 1, [](std::int64_t, std::int64_t) {});
  };
  return call;
}

std::int64_t floor_bytes(Measure measure, const Problem& problem, const at::Tensor& indices) {
  const std::int64_t row_bytes = problem.dim * problem.elem_bytes();
  const auto index_list = indices.to(at::kLong).flatten();
  const auto* const rows = index_list.const_data_ptr<std::int64_t>();
  const auto num_unique =
      static_cast<std::int64_t>(std::set<std::int64_t>(rows, rows + index_list.numel()).size());
  const std::int64_t num_indices = problem.num_indices();
  const std::int64_t shared = num_indices * row_bytes + num_indices * problem.index_bytes();
  return shared + row_bytes * (measure == Measure::kBackwardDense ? problem.num_rows : num_unique);
}

}  // namespace

std::string to_string(Measure measure) {
  switch (measure) {
    case Measure::kForward:
      return "forward";
    case Measure::kBackwardDense:
      return "backward_dense";
    case Measure::kBackwardRows:
      return "backward_rows";
    case Measure::kOneHot:
      return "step_one_hot";
    case Measure::kOverhead:
      return "step_overhead";
    default:
      return "threads";
  }
}

std::vector<Comparison> measure(const std::string& workload, const Problem& problem,
                                const std::vector<Measure>& measures, const Ratings* ratings,
                                const MeasureOptions& options) {
  const Inputs inputs = make_inputs(problem, ratings, at::kCPU);
  std::vector<Comparison> comparisons;
  TimingPlan plan{.budget_s = options.budget_s,
                  .min_samples = 7,
                  .takes_processor_time = options.takes_processor_time};
  if (options.is_quick) {
    plan.min_samples = 2;
    plan.warm_up_ms = 1.0;
  }
  const auto compare = [&](Measure what, const TimedCall& torch, const TimedCall& rowlane) {
    const std::vector<Timing> timings = time_interleaved({torch, rowlane}, plan, at::kCPU);
    comparisons.push_back({.measure = what,
                           .workload = workload,
                           .problem = problem,
                           .torch = timings[0],
                           .rowlane = timings[1],
                           .floor_bytes = floor_bytes(what, problem, inputs.indices(0))});
  };
  for (const Measure what : measures) {
    if (what == Measure::kOneHot || what == Measure::kOverhead) {
      const Implementation torch = what == Measure::kOneHot
                                       ? make_one_hot("one_hot_matmul", inputs.table)
                                       : make_lookups(inputs.table).at(0);
      compare(what, timed_step(torch, inputs),
              timed_step(make_lookups(inputs.table).at(1), inputs));
      continue;
    }
    const at::NoGradGuard no_grad;
    if (what == Measure::kThreads) {
      const int num_threads = at::get_num_threads();
      for (const Measure part :
           {Measure::kForward, Measure::kBackwardDense, Measure::kBackwardRows}) {
        compare(what, on_threads(1, rowlane_call(part, inputs)),
                on_threads(num_threads, rowlane_call(part, inputs)));
        comparisons.back().workload += " " + to_string(part);
        comparisons.back().floor_bytes = floor_bytes(part, problem, inputs.indices(0));
      }
      at::set_num_threads(num_threads);
      continue;
    }
    compare(what, timed(torch_call(what, inputs)), timed(rowlane_call(what, inputs)));
  }
  return comparisons;
}

Bandwidth measure_bandwidth() {
  constexpr std::int64_t kBytes = std::int64_t{256} << 20;
  constexpr int kRepeats = 7;
  const at::Tensor from = at::zeros({kBytes}, at::kByte);
  const at::Tensor to = at::zeros({kBytes}, at::kByte);
  const auto best_gb_per_s = [&](const std::function<void(char*, const char*, std::size_t)>& part) {
    double best_ms = INFINITY;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      best_ms = std::min(
          best_ms, time_once_ms(
                       [&] {
                         at::parallel_for(0, kBytes, 1, [&](std::int64_t begin, std::int64_t end) {
                           part(static_cast<char*>(to.data_ptr()) + begin,
                                static_cast<const char*>(from.const_data_ptr()) + begin,
                                static_cast<std::size_t>(end - begin));
                         });
                       },
                       at::kCPU));
    }
    return static_cast<double>(kBytes) / best_ms / 1e6;
  };
  return {.fill_gb_per_s = best_gb_per_s(
              [](char* to, const char*, std::size_t bytes) { std::memset(to, 0, bytes); }),
          .copy_gb_per_s = best_gb_per_s(
              [](char* to, const char* from, std::size_t bytes) { std::memcpy(to, from, bytes); })};
}

UlpErrors measure_bfloat16_errors(std::int64_t num_indices) {
  constexpr std::int64_t kRows = 50257;
  constexpr std::int64_t kDim = 16;
  constexpr int kFractionBits = 7;  // of bfloat16
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const Problem problem{.num_rows = kRows,
                        .dim = kDim,
                        .index_shape = {num_indices},
                        .dtype = at::kBFloat16,
                        .indices = {IndexLaw::kZipf, 1.0}};
  const at::Tensor indices = make_index_batches(problem, 1, nullptr, at::kCPU)[0];
  const at::Tensor grad = at::randn({num_indices, kDim}, at::kBFloat16);
  const at::Tensor exact =
      at::zeros({kRows, kDim}, at::kDouble).index_add_(0, indices, grad.to(at::kDouble));
  const auto error = [&](const at::Tensor& gradient) {
    const at::Tensor actual = gradient.to(at::kDouble);
    const auto* const right = exact.const_data_ptr<double>();
    const auto* const got = actual.const_data_ptr<double>();
    double largest = 0.0;
    for (std::int64_t i = 0; i < exact.numel(); ++i) {
      const double ulp = std::ldexp(1.0, std::ilogb(right[i]) - kFractionBits);
      largest = std::max(largest, right[i] == got[i] ? 0.0 : std::abs(right[i] - got[i]) / ulp);
    }
    return largest;
  };
  return {.torch = error(at::embedding_dense_backward(grad, indices, kRows, kNoPadding, false)),
          .rowlane = error(dense_backward(grad, indices, kRows))};
}

}  // namespace rowlane::bench
