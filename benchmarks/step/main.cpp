// rowlane-step: whole training steps of a table, beside torch's modules and optimizers.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "harness/format.h"
#include "harness/json_document.h"
#include "harness/machine.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "step/measure.h"
#include "workloads/workload.h"

namespace rowlane::bench {
namespace {

constexpr const char* kProgram = "rowlane-step";

struct CommandLine {
  std::filesystem::path json_path;
  double budget_s = 8.0;
  int num_threads = 0;
  std::vector<std::string> ops;
  std::vector<std::string> workloads;
  bool is_quick = false;
};

class StepBenchmark {
 public:
  explicit StepBenchmark(const CommandLine& line)
      : line_(line),
        progress_(kProgram),
        plan_{.budget_s = line.budget_s,
              .is_quick = line.is_quick,
              .on_step = [this](const std::string& text) { progress_.step(text); }},
        document_(begin_document("cpu", device_name(at::kCPU), utc_date())) {
    document_["skipped"] = Json::array();
  }

  void run() {
    std::cout << "Rowlane training steps  " << device_name(at::kCPU) << ", "
              << at::get_num_threads() << " threads, torch " << torch_version() << "\n"
              << "forward + backward + update; peak is tensor memory beside table and state\n";
    constexpr std::array kGrowthOps{StepOp::kSgd, StepOp::kAdagrad, StepOp::kAdam};
    for (const Workload& workload : step_workloads(line_.is_quick)) {
      if (!begin(workload.name)) {
        continue;
      }
      if (workload.name != "step") {
        for (const StepOp op : chosen(kGrowthOps)) {
          add(measure_growth(workload.name, op, workload.problems, plan_));
        }
        continue;
      }
      for (const Problem& problem : workload.problems) {
        for (const StepOp op : chosen(kStepOps)) {
          add(compare_steps(op, problem, plan_));
        }
      }
    }
    if (!line_.json_path.empty()) {
      write_document(line_.json_path, document_);
      std::cout << "Written to " << line_.json_path.string() << "\n";
    }
  }

 private:
  // Whether the workload is to be measured.
  bool begin(const std::string& workload) {
    if (!line_.workloads.empty() && !contains(line_.workloads, workload)) {
      return false;
    }
    progress_.begin_workload(workload);
    return true;
  }

  [[nodiscard]] std::vector<StepOp> chosen(std::span<const StepOp> ops) const {
    std::vector<StepOp> result(ops.begin(), ops.end());
    std::erase_if(result, [this](StepOp op) {
      return !line_.ops.empty() && !contains(line_.ops, to_string(op));
    });
    return result;
  }

  static bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  void add(const StepReport& report) {
    progress_.clear();
    std::string heading;
    for (const StepResult& result : report.results) {
      const std::string next = to_string(result.op) + "  " + format_problem(result.problem);
      if (next != heading) {
        heading = next;
        std::cout << heading << "\n";
      }
      constexpr std::size_t kNameWidth = 30;
      constexpr std::size_t kWidth = 12;
      std::cout << "  " << pad_right(result.name, kNameWidth)
                << pad_left(format_ms(result.timing.median_ms), kWidth)
                << pad_left(format_bytes(result.peak_bytes), kWidth) << "\n"
                << std::flush;
      document_["results"].push_back(to_json(result));
    }
    for (const StepSkip& skip : report.skips) {
      std::cout << to_string(skip.op) << "  " << format_problem(skip.problem)
                << "\n  skipped: " << skip.reason << "\n";
      Json row = begin_row(skip.workload, skip.problem);
      row["op"] = to_string(skip.op);
      row["impl"] = skip.impl;
      add_problem(row, skip.problem);
      row["reason"] = skip.reason;
      document_["skipped"].push_back(row);
    }
  }

  static Json to_json(const StepResult& result) {
    Json row = begin_row(result.workload, result.problem);
    row["op"] = to_string(result.op);
    row["impl"] = result.impl;
    row["algorithm"] = result.algorithm;
    row["language"] = "c++";
    add_problem(row, result.problem);
    row["median_ms"] = result.timing.median_ms;
    row["p20_ms"] = result.timing.p20_ms;
    row["p80_ms"] = result.timing.p80_ms;
    row["samples"] = result.timing.num_samples;
    row["cache"] = "warm";
    row["floor_bytes"] = result.floor_bytes();
    row["gb_per_s"] = static_cast<double>(result.floor_bytes()) / 1e6 / result.timing.median_ms;
    row["peak_bytes"] = result.peak_bytes;
    if (result.max_abs_error) {
      row["max_abs_error"] = *result.max_abs_error;
    }
    return row;
  }

  const CommandLine& line_;
  Progress progress_;
  StepPlan plan_;
  Json document_;
};

}  // namespace
}  // namespace rowlane::bench

int main(int argc, char** argv) {
  using namespace rowlane::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app(
      "Times forward, backward and update of a table: Rowlane fused and unfused, torch's modules "
      "and optimizers, side by side, and how the time grows with the table and the look-up.",
      kProgram);
  CommandLine line;
  app.add_option("--json", line.json_path, "also write the results to this file");
  app.add_option("--budget", line.budget_s, "seconds of timing per operation and problem")
      ->capture_default_str();
  app.add_option("--threads", line.num_threads, "torch's choice by default");
  app.add_option("--op", line.ops, "only these operations")
      ->check(CLI::IsMember(
          {"step_sgd", "step_adagrad", "step_rowwise_adagrad", "step_sparse_adam", "step_adam"}));
  app.add_option("--workload", line.workloads, "only these workloads")
      ->check(CLI::IsMember({"step", "step-rows", "step-indices"}));
  app.add_flag("--quick", line.is_quick, "tiny tables, to see that everything runs");
  CLI11_PARSE(app, argc, argv);
  return run_program(kProgram, [&] {
    if (line.num_threads > 0) {
      at::set_num_threads(line.num_threads);
    }
    StepBenchmark(line).run();
    return EXIT_SUCCESS;
  });
}
