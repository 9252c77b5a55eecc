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
#include <functional>
#include <limits>
#include <memory>
#include <set>

#include "harness/implementation.h"
#include "harness/inputs.h"
#include "rowlane/embedding.h"

namespace rowlane::bench {
namespace {

constexpr std::int64_t kNoPadding = -1;

auto find_backward(const char* name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(name, "")
      .typed<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt,
                        std::optional<c10::SymInt>, bool, std::string_view)>();
}

at::Tensor dense_backward(const at::Tensor& grad, const at::Tensor& indices,
                          std::int64_t num_rows) {
  static const auto op = find_backward("rowlane::embedding_backward");
  return op.call(grad, indices, num_rows, std::nullopt, false, "auto");
}

at::Tensor row_gradient(const at::Tensor& grad, const at::Tensor& indices, std::int64_t num_rows) {
  static const auto op = find_backward("rowlane::embedding_row_gradient");
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
        return row_gradient(inputs.output_grad, inputs.indices(call), inputs.table.size(0));
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
TimedCall on_threads(int num_threads, TimedCall call) {
  call.prepare = [num_threads](int) {
    at::set_num_threads(num_threads);
    at::parallel_for(0, num_threads, 1, [](std::int64_t, std::int64_t) {});
  };
  return call;
}

// The fewest bytes that must move, but for the indices.
Streams streams_of(Measure measure, const Problem& problem, const at::Tensor& indices) {
  const std::int64_t row_bytes = problem.dim * problem.elem_bytes();
  const auto index_list = indices.to(at::kLong).flatten();
  const auto* const rows = index_list.const_data_ptr<std::int64_t>();
  const auto num_unique =
      static_cast<std::int64_t>(std::set<std::int64_t>(rows, rows + index_list.numel()).size());
  const std::int64_t num_indices = problem.num_indices();
  if (measure == Measure::kForward) {
    return {.copied_bytes = num_indices * row_bytes, .source_bytes = num_unique * row_bytes};
  }
  return {.copied_bytes = num_unique * row_bytes,
          .source_bytes = num_unique * row_bytes,
          .zero_bytes =
              measure == Measure::kBackwardDense ? (problem.num_rows - num_unique) * row_bytes : 0,
          .read_bytes = (num_indices - num_unique) * row_bytes};
}

std::int64_t floor_bytes(const Streams& streams, const Problem& problem) {
  return streams.source_bytes + streams.copied_bytes + streams.zero_bytes + streams.read_bytes +
         problem.num_indices() * problem.index_bytes();
}

// The streams have no result to keep.
TimedCall moved(const std::shared_ptr<StreamRunner>& runner) {
  return {.prepare = [](int) {}, .run = [runner](int) { runner->run(); }, .release = [] {}};
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

double Comparison::ratio_of_bound() const {
  return bound_on_one_thread ? bound_on_one_thread->median_ms / bound->median_ms
                             : std::numeric_limits<double>::infinity();
}

double Comparison::share_of_bound() const {
  return bound ? bound->median_ms / rowlane.median_ms : 0.0;
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
  const auto compare = [&](Measure what, const std::vector<TimedCall>& calls,
                           const Streams& streams) {
    const std::vector<Timing> timings = time_interleaved(calls, plan, at::kCPU);
    comparisons.push_back({.measure = what,
                           .workload = workload,
                           .problem = problem,
                           .torch = timings[0],
                           .rowlane = timings[1],
                           .floor_bytes = floor_bytes(streams, problem),
                           .streams = streams});
    if (timings.size() > 2) {
      comparisons.back().bound = timings[2];
    }
    if (timings.size() > 3) {
      comparisons.back().bound_on_one_thread = timings[3];
    }
  };
  for (const Measure what : measures) {
    if (what == Measure::kOneHot || what == Measure::kOverhead) {
      const Implementation torch = what == Measure::kOneHot
                                       ? make_one_hot("one_hot_matmul", inputs.table)
                                       : make_lookups(inputs.table).at(0);
      compare(what,
              {timed_step(torch, inputs), timed_step(make_lookups(inputs.table).at(1), inputs)},
              streams_of(what, problem, inputs.indices(0)));
      continue;
    }
    const at::NoGradGuard no_grad;
    if (what == Measure::kThreads) {
      const int num_threads = at::get_num_threads();
      for (const Measure part :
           {Measure::kForward, Measure::kBackwardDense, Measure::kBackwardRows}) {
        const Streams streams = streams_of(part, problem, inputs.indices(0));
        const auto runner = std::make_shared<StreamRunner>(streams);
        compare(what,
                {on_threads(1, timed(rowlane_call(part, inputs))),
                 on_threads(num_threads, timed(rowlane_call(part, inputs))),
                 on_threads(num_threads, moved(runner)), on_threads(1, moved(runner))},
                streams);
        comparisons.back().workload.append(" ").append(to_string(part));
      }
      at::set_num_threads(num_threads);
      continue;
    }
    const Streams streams = streams_of(what, problem, inputs.indices(0));
    compare(what,
            {timed(torch_call(what, inputs)), timed(rowlane_call(what, inputs)),
             moved(std::make_shared<StreamRunner>(streams))},
            streams);
  }
  return comparisons;
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
                        .indices = zipf(1.0)};
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
