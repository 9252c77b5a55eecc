#include "bench/problem_runner.h"

#include <memory>
#include <optional>
#include <utility>

#include "bench/one_hot_cost.h"
#include "bench/oracle.h"
#include "harness/format.h"
#include "harness/implementation.h"
#include "harness/inputs.h"
#include "harness/memory_probe.h"

namespace rowlane::bench {
namespace {

// A product that takes longer is timed once, while it is proved right.
constexpr double kSlowProductS = 0.5;

// One forward and backward pass, checked.
struct Proof {
  double forward_ms = 0.0;
  double backward_ms = 0.0;
  double output_error = 0.0;
  double gradient_error = 0.0;
  std::optional<std::int64_t> peak_bytes;
};

struct ProofOptions {
  bool is_forward_only = false;
  bool measures_memory = false;
};

Proof prove(Implementation& implementation, const Inputs& inputs, const Oracle& oracle,
            const ProofOptions& options) {
  Proof proof;
  const at::Device device = inputs.table.device();
  at::Tensor output;
  const auto run = [&] {
    proof.forward_ms =
        time_once_ms([&] { output = implementation.forward(inputs.indices(0)); }, device);
    if (!options.is_forward_only) {
      proof.backward_ms = time_once_ms([&] { output.backward(inputs.output_grad); }, device);
    }
  };
  implementation.clear_gradient();
  if (options.measures_memory) {
    proof.peak_bytes = measure_peak_bytes(run, device);
  } else {
    run();
  }
  proof.output_error = oracle.check_output(output, implementation.is_product);
  if (!options.is_forward_only) {
    proof.gradient_error =
        oracle.check_gradient(implementation.table_gradient(), implementation.accumulate_dtype);
  }
  implementation.clear_gradient();
  return proof;
}

// The measurements of one problem, in the order in which they are made.
class Session {
 public:
  Session(const Workload& workload, const Problem& problem, const Settings& settings,
          const Ratings* ratings, ProblemRunner::OnStep on_step)
      : workload_(workload),
        problem_(problem),
        settings_(settings),
        on_step_(std::move(on_step)),
        inputs_(make_inputs(problem, ratings, settings.device)),
        oracle_(std::make_unique<Oracle>(inputs_.table, inputs_.indices(0), inputs_.output_grad)) {
    report_.workload = workload.name;
    report_.problem = problem;
    report_.num_distinct_rows = oracle_->num_distinct_rows();
  }

  void prove_lookups() {
    for (Implementation& implementation : make_lookups(inputs_.table)) {
      contenders_.push_back(proved(std::move(implementation)));
    }
  }

  // Products that are fast enough are timed with the rest.
  void prove_one_hot(std::set<std::string>& slow_products) {
    for (const std::string& name : one_hot_names()) {
      try {
        prove_one_hot(name, slow_products);
      } catch (const c10::OutOfMemoryError&) {
        skip(name, "needs " + format_bytes(one_hot_bytes(problem_)) + ", out of memory");
      }
    }
  }

  void time(double budget_s) {
    oracle_.reset();
    const auto start = std::chrono::steady_clock::now();
    time(Op::kForward, workload_.forward_only ? budget_s : budget_s / 2);
    if (!workload_.forward_only) {
      time(Op::kBackwardDense, budget_s / 2);
    }
    report_.timing_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  ProblemReport take_report() { return std::move(report_); }

 private:
  struct Contender {
    Implementation implementation;
    Proof proof;
  };

  Contender proved(Implementation implementation) {
    const std::string name = display_name(implementation.name, implementation.algorithm);
    report_.implementations.push_back({implementation.name, implementation.algorithm});
    on_step_("proving " + name);
    try {
      Proof proof = prove(implementation, inputs_, *oracle_,
                          {.is_forward_only = workload_.forward_only,
                           .measures_memory = workload_.compares_memory});
      return {std::move(implementation), proof};
    } catch (const Disagreement& error) {
      throw Disagreement(name + " is wrong on " + workload_.name + " (" + format_problem(problem_) +
                         "): " + error.what() + ".");
    }
  }

  void prove_one_hot(const std::string& name, std::set<std::string>& slow_products) {
    const std::string shape =
        name + "/" + std::to_string(problem_.num_rows) + "/" + std::to_string(problem_.dim) + "/" +
        std::to_string(problem_.num_indices()) + "/" + dtype_name(problem_.dtype);
    if (slow_products.contains(shape)) {
      skip(name, "takes as long as for the indices above");
      return;
    }
    on_step_("trying " + display_name(name, "default"));
    const double limit_s = settings_.one_hot_limit_s.value_or(workload_.one_hot_limit_s);
    const OneHotVerdict verdict = judge_one_hot(name, problem_, inputs_.table, inputs_.indices(0),
                                                inputs_.output_grad, limit_s);
    if (verdict.predicted_s > kSlowProductS) {
      slow_products.insert(shape);
    }
    if (!verdict.reason_to_skip.empty()) {
      skip(name, verdict.reason_to_skip);
      return;
    }
    Contender contender = proved(make_one_hot(name, inputs_.table));
    if (verdict.predicted_s > kSlowProductS) {
      const auto once = [](double ms) { return Timing{ms, ms, ms, 1}; };
      add_result(contender, Op::kForward, once(contender.proof.forward_ms));
      if (!workload_.forward_only) {
        add_result(contender, Op::kBackwardDense, once(contender.proof.backward_ms));
      }
    } else {
      contenders_.push_back(std::move(contender));
    }
  }

  void skip(const std::string& name, const std::string& reason) {
    std::optional<std::int64_t> estimated_bytes;
    if (workload_.compares_memory) {
      estimated_bytes = one_hot_bytes(problem_);
    }
    report_.skips.push_back({name, reason, estimated_bytes});
  }

  void time(Op op, double budget_s) {
    on_step_(op == Op::kForward ? "timing forward" : "timing backward");
    std::vector<Contender*> timed;
    std::vector<TimedCall> calls;
    at::Tensor output;
    for (Contender& contender : contenders_) {
      Implementation& implementation = contender.implementation;
      if (op == Op::kForward && !implementation.times_forward) {
        continue;
      }
      timed.push_back(&contender);
      calls.push_back(op == Op::kForward ? forward_call(implementation, output)
                                         : backward_call(implementation, output));
    }
    const std::vector<Timing> timings =
        time_interleaved(calls, timing_plan(budget_s), settings_.device);
    for (std::size_t i = 0; i < timed.size(); ++i) {
      add_result(*timed[i], op, timings[i]);
    }
  }

  TimedCall forward_call(Implementation& implementation, at::Tensor& output) const {
    return {.prepare = [](int) {},
            .run = [this, &implementation,
                    &output](int call) { output = implementation.forward(inputs_.indices(call)); },
            .release = [&output] { output.reset(); }};
  }

  TimedCall backward_call(Implementation& implementation, at::Tensor& output) const {
    return {.prepare = [this, &implementation, &output](
                           int call) { output = implementation.forward(inputs_.indices(call)); },
            .run = [this, &output](int) { output.backward(inputs_.output_grad); },
            .release =
                [&implementation, &output] {
                  output.reset();
                  implementation.clear_gradient();
                }};
  }

  [[nodiscard]] TimingPlan timing_plan(double budget_s) const {
    TimingPlan plan{.budget_s = budget_s, .is_cold = settings_.is_cold};
    if (!settings_.device.is_cpu()) {
      plan.min_samples = 100;
      plan.max_samples = 400;
    }
    if (settings_.is_quick) {
      plan.min_samples = 3;
      plan.warm_up_ms = 1.0;
    }
    return plan;
  }

  void add_result(const Contender& contender, Op op, const Timing& timing) {
    const Proof& proof = contender.proof;
    report_.results.push_back(
        {.op = op,
         .id = {contender.implementation.name, contender.implementation.algorithm},
         .timing = timing,
         .max_abs_error = op == Op::kForward ? proof.output_error : proof.gradient_error,
         .peak_bytes = proof.peak_bytes});
  }

  const Workload& workload_;
  const Problem& problem_;
  const Settings& settings_;
  ProblemRunner::OnStep on_step_;
  Inputs inputs_;
  std::unique_ptr<Oracle> oracle_;
  std::vector<Contender> contenders_;
  ProblemReport report_;
};

}  // namespace

ProblemRunner::ProblemRunner(const Settings& settings, const Ratings* ratings, OnStep on_step)
    : settings_(settings), ratings_(ratings), on_step_(std::move(on_step)) {}

ProblemReport ProblemRunner::run(const Workload& workload, const Problem& problem,
                                 double budget_s) {
  on_step_("making tables and indices");
  Session session(workload, problem, settings_, ratings_, on_step_);
  session.prove_lookups();
  session.prove_one_hot(slow_products_);
  session.time(budget_s);
  return session.take_report();
}

}  // namespace rowlane::bench
