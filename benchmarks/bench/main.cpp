// rowlane-bench: is Rowlane faster than what torch offers, and is it right?
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <thread>

#include "bench/json_output.h"
#include "bench/problem_runner.h"
#include "bench/settings.h"
#include "bench/table.h"
#include "harness/machine.h"
#include "harness/memory_streams.h"
#include "harness/plan.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "workloads/index_batches.h"
#include "workloads/workload.h"

namespace rowlane::bench {
namespace {

constexpr const char* kProgram = "rowlane-bench";

// Tables and outputs of this size, with their gradients and the sums in double, fit into 8 GiB, and
// a CPU gets through all workloads in about a quarter of an hour. The GPU's fit into 80 GB.
constexpr std::int64_t kMaxElemsCpu = 256'000'000;
constexpr std::int64_t kMaxElemsGpu = 4'500'000'000;
constexpr double kQuickBudgetS = 0.1;

struct CommandLine {
  Settings settings;
  std::string device = "auto";
  std::string cache = "auto";
  int num_threads = 0;
  bool is_list = false;
};

// CLI11's own validator spells out the largest double as the upper bound.
CLI::Validator above_zero() {
  return {[](std::string& text) -> std::string {
            double value = 0.0;
            const bool is_valid = CLI::detail::lexical_cast(text, value) && value > 0.0;
            return is_valid ? "" : text + " is not a number above 0.";
          },
          ">0"};
}

void define_options(CLI::App& app, CommandLine& line) {
  Settings& settings = line.settings;
  app.add_option("--workload", settings.workloads,
                 "default, all, or names separated by commas (see --list)")
      ->capture_default_str();
  app.add_option("--device", line.device, "cpu, cuda, or auto: cuda when there is a GPU")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--threads", line.num_threads, "CPU threads; torch's choice by default")
      ->check(above_zero());
  app.add_option("--json", settings.json_path, "also write the results to this file");
  app.add_option("--budget", settings.budget_s, "seconds of timing per workload")
      ->check(above_zero())
      ->capture_default_str();
  app.add_option(
         "--cache", line.cache,
         "warm, or cold: the last-level cache is overwritten before each call; auto: cold on a "
         "GPU, warm on a CPU")
      ->check(CLI::IsMember({"auto", "cold", "warm"}))
      ->capture_default_str();
  app.add_flag(
      "--keep-memory", settings.keeps_memory,
      "malloc keeps what is freed, which spares everyone the page faults of large tensors");
  app.add_option("--one-hot-limit", settings.one_hot_limit_s,
                 "skip a one-hot product whose forward and backward pass would take more seconds")
      ->check(above_zero());
  app.add_option("--data-dir", settings.data_dir, "where ml-100k/ratings.csv is")
      ->capture_default_str();
  app.add_flag("--quick", settings.is_quick, "tiny problems, to see that everything runs");
  app.add_flag("--list", line.is_list, "list the workloads and stop");
}

at::Device choose_device(const std::string& name) {
  const bool has_cuda = has_cuda_device();
  if (name == "cuda" && !has_cuda) {
    throw std::invalid_argument("There is no CUDA device that torch can use; take --device cpu.");
  }
  return name == "cuda" || (name == "auto" && has_cuda) ? at::Device(at::kCUDA, 0)
                                                        : at::Device(at::kCPU);
}

// Minutes of measuring should not end with a file that can't be written.
void check_writable(const std::filesystem::path& path) {
  if (!path.empty() && !std::ofstream(path, std::ios::app)) {
    throw std::invalid_argument("The results could not be written to " + path.string() + ".");
  }
}

void complete(CommandLine& line) {
  Settings& settings = line.settings;
  check_writable(settings.json_path);
  settings.device = choose_device(line.device);
  settings.is_cold = line.cache == "cold" || (line.cache == "auto" && !settings.device.is_cpu());
  settings.max_elems = settings.device.is_cpu() ? kMaxElemsCpu : kMaxElemsGpu;
  if (settings.is_quick) {
    settings.budget_s = std::min(settings.budget_s, kQuickBudgetS);
  }
  if (settings.keeps_memory) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
  }
  if (line.num_threads > 0) {
    at::set_num_threads(line.num_threads);
  }
}

void warn_when_busy() {
  const double load = load_average();
  if (load > 0.5 * std::thread::hardware_concurrency()) {
    std::cerr << kProgram << ": the machine is busy (load " << load << " on "
              << std::thread::hardware_concurrency() << " cores), times will be noisy.\n";
  }
}

bool wants_color() { return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

void run(const Settings& settings) {
  const std::string date = utc_date();
  std::vector<Workload> workloads =
      plan_workloads(settings.workloads, settings.max_elems, settings.is_quick);
  const std::optional<Ratings> ratings = load_ratings_for(workloads, settings.data_dir, kProgram);
  if (workloads.empty()) {
    throw std::runtime_error("There is nothing left to run.");
  }
  if (settings.device.is_cpu()) {
    warn_when_busy();
  }
  Progress progress(kProgram);
  ProblemRunner runner(settings, ratings ? &*ratings : nullptr,
                       [&](const std::string& step) { progress.step(step); });
  const TablePrinter table(std::cout, wants_color());
  table.print_header(settings);
  std::optional<Bandwidth> bandwidth;
  if (settings.device.is_cpu() && !settings.is_quick) {
    bandwidth = measure_bandwidth();
    std::cout << "\n" << describe(*bandwidth) << "\n";
  }
  std::vector<ProblemReport> reports;
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    const Workload& workload = workloads[i];
    progress.begin_workload(workload.name + " (" + std::to_string(i + 1) + " of " +
                            std::to_string(workloads.size()) + ")");
    table.print_workload(workload);
    double budget_left_s = settings.budget_s;
    for (std::size_t k = 0; k < workload.problems.size(); ++k) {
      const auto problems_left = static_cast<double>(workload.problems.size() - k);
      reports.push_back(runner.run(workload, workload.problems[k], budget_left_s / problems_left));
      budget_left_s = std::max(0.0, budget_left_s - reports.back().timing_s);
      progress.clear();
      table.print_problem(reports.back());
    }
  }
  table.print_summary(reports);
  table.print_memory(reports);
  if (!settings.json_path.empty()) {
    write_json(settings.json_path, settings, date, bandwidth, reports);
    std::cout << "\nWritten to " << settings.json_path.string() << "\n";
  }
}

}  // namespace
}  // namespace rowlane::bench

int main(int argc, char** argv) {
  using namespace rowlane::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app(
      "Compares rowlane::embedding with torch::nn::Embedding, parameter indexing and one-hot "
      "products: proves that all agree, then times them side by side.",
      "rowlane-bench");
  CommandLine line;
  line.settings.data_dir = ROWLANE_BENCH_DATA_DIR;
  define_options(app, line);
  CLI11_PARSE(app, argc, argv);
  return run_program(kProgram, [&] {
    if (line.is_list) {
      print_workload_list(std::cout);
      return EXIT_SUCCESS;
    }
    complete(line);
    run(line.settings);
    return EXIT_SUCCESS;
  });
}
