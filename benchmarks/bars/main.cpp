// rowlane-bars: does the CPU backend keep what it promises?
#include <ATen/Parallel.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "bars/bar.h"
#include "harness/format.h"
#include "harness/json_document.h"
#include "harness/machine.h"
#include "harness/plan.h"
#include "harness/program.h"

namespace rowlane::bench {
namespace {

constexpr const char* kProgram = "rowlane-bars";
constexpr std::int64_t kMaxElems = 256'000'000;
// The one-hot product is compared where its matrix has at most this many elements.
constexpr std::int64_t kMaxOneHotElems = 100'000'000;
// Threads are compared on workloads that move more.
constexpr std::int64_t kThreadsBytes = 10'000'000;

struct CommandLine {
  std::string workloads =
      "fastbook,vocab-300,bert,gpt2-llmc,small-vocab,odd-D,liger-bert,cuembed-A,fbgemm-default,"
      "gather-5120,mild-scatter,one-row,llama3-8b,decode,cuembed-C,bis-uniform,hot-half";
  std::filesystem::path json_path;
  std::filesystem::path data_dir = ROWLANE_BENCH_DATA_DIR;
  std::vector<std::string> only;
  double budget_s = 0.5;
  std::string clock = "wall";
  bool is_quick = false;
};

struct NamedProblem {
  std::string workload;
  Problem problem;
};

class Bars {
 public:
  explicit Bars(const CommandLine& line) : line_(line) {
    std::vector<Workload> workloads = plan_workloads(line.workloads, kMaxElems, line.is_quick);
    ratings_ = load_ratings_for(workloads, line.data_dir, kProgram);
    for (const Workload& workload : workloads) {
      for (const Problem& problem : workload.problems) {
        problems_.push_back({workload.name, problem});
      }
    }
  }

  // Returns whether all are met.
  bool run() {
    document_ = begin_document("cpu", device_name(at::kCPU), utc_date());
    document_["clock"] = line_.clock;
    std::cout << device_name(at::kCPU) << ", " << at::get_num_threads() << " threads, torch "
              << torch_version() << "\n";
    measure_memory();
    std::cout
        << "Columns: torch (or one thread), Rowlane, ratio, bytes per second of the fewest that "
           "must move,\nand how much of Rowlane's time it takes to move them with nothing to "
           "compute\n";
    compare({"forward vs nn.Embedding", 1.9, 0.95}, Measure::kForward,
            [](const Problem&) { return true; });
    compare({"dense backward vs nn.Embedding", 8.0, 2.0}, Measure::kBackwardDense,
            [](const Problem&) { return true; });
    compare({"row gradient vs sparse=True + coalesce", 4.0, 2.0}, Measure::kBackwardRows,
            [](const Problem&) { return true; });
    const auto fits_one_hot = [](const Problem& problem) {
      return problem.num_rows * problem.num_indices() <= kMaxOneHotElems;
    };
    compare({"forward + backward vs one-hot product", 30.0, 1.0}, Measure::kOneHot, fits_one_hot);
    compare({"the same, 1000 rows of 100, 10000 indices", 200.0, 200.0}, Measure::kOneHot,
            [](const Problem& problem) {
              return problem.num_rows == 1000 && problem.dim == 100 &&
                     problem.dtype == at::kFloat && problem.indices.law == IndexLaw::kUniform;
            });
    compare(
        {"forward + backward of 64 indices, dim 50", 1.0, 1.0}, Measure::kOverhead,
        [](const Problem& problem) { return problem.num_indices() == 64 && problem.dim == 50; });
    compare({"1 to " + std::to_string(at::get_num_threads()) + " threads, over 10 MB", 1.6, 1.6},
            Measure::kThreads, [](const Problem& problem) {
              return problem.num_indices() * problem.dim * problem.elem_bytes() > kThreadsBytes;
            });
    check_errors();
    // From here on torch's large tensors cost no page faults.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
    compare({"dense backward vs nn.Embedding, malloc keeps its memory", 4.0, 1.8},
            Measure::kBackwardDense, [](const Problem&) { return true; });
    if (!line_.json_path.empty()) {
      write_document(line_.json_path, document_);
      std::cout << "Written to " << line_.json_path.string() << "\n";
    }
    return all_met_;
  }

 private:
  template <typename Predicate>
  void compare(Bar bar, Measure what, Predicate&& is_wanted) {
    if (!line_.only.empty() &&
        std::find(line_.only.begin(), line_.only.end(), to_string(what)) == line_.only.end()) {
      return;
    }
    std::cout << "\n" << bar.name << "\n";
    for (const NamedProblem& named : problems_) {
      if (!is_wanted(named.problem)) {
        continue;
      }
      for (Comparison& comparison :
           measure(named.workload, named.problem, {what}, ratings_ ? &*ratings_ : nullptr,
                   {.budget_s = line_.budget_s,
                   .is_quick = line_.is_quick,
                   .takes_processor_time = line_.clock == "processor"})) {
        print(comparison);
        record(bar.name, comparison);
        bar.comparisons.push_back(std::move(comparison));
      }
    }
    if (bar.comparisons.empty()) {
      return;
    }
    const bool is_met = bar.is_met();
    all_met_ &= is_met;
    std::cout << (is_met ? "  met: " : "  NOT MET: ") << "geometric mean "
              << format_ratio(bar.mean()) << " (bar " << format_ratio(bar.least_mean) << "), worst "
              << format_ratio(bar.worst().ratio()) << " (bar " << format_ratio(bar.least_ratio)
              << ")";
    if (bar.num_at_limit() > 0) {
      std::cout << "; " << bar.num_at_limit() << " of " << bar.comparisons.size()
                << " are left out: there memory by itself gains no more";
    }
    std::cout << std::endl;
    document_["bars"].push_back({{"bar", bar.name},
                                 {"mean", bar.mean()},
                                 {"least_mean", bar.least_mean},
                                 {"worst", bar.worst().ratio()},
                                 {"least_ratio", bar.least_ratio},
                                 {"at_limit", bar.num_at_limit()},
                                 {"met", is_met}});
  }

  void measure_memory() {
    const int num_threads = at::get_num_threads();
    std::vector<int> thread_counts{1};
    if (num_threads > 1) {
      thread_counts.push_back(num_threads);
    }
    for (const int threads : thread_counts) {
      at::set_num_threads(threads);
      const Bandwidth bandwidth = measure_bandwidth();
      document_["memory"].push_back(to_json(bandwidth));
      std::cout << describe(bandwidth) << "\n";
    }
  }

  static void print(const Comparison& c) {
    std::cout << "  " << pad_right(c.workload + " ", 26) << pad_right(format_problem(c.problem), 54)
              << pad_left(format_ms(c.torch.median_ms), 9)
              << pad_left(format_ms(c.rowlane.median_ms), 9) << pad_left(format_ratio(c.ratio()), 8)
              << pad_left(format_rate(c.gb_per_s()), 7) << " GB/s";
    if (c.bound) {
      std::cout << pad_left(std::to_string(std::lround(100 * c.share_of_bound())), 5) << "% "
                << c.streams.name();
    }
    if (c.bound_on_one_thread) {
      std::cout << ", which gains " << format_ratio(c.ratio_of_bound());
    }
    std::cout << std::endl;
  }

  void record(const std::string& bar, const Comparison& c) {
    Json row = begin_row(c.workload, c.problem);
    row["op"] = to_string(c.measure);
    row["bar"] = bar;
    add_problem(row, c.problem);
    row["torch_ms"] = c.torch.median_ms;
    row["rowlane_ms"] = c.rowlane.median_ms;
    row["samples"] = c.rowlane.num_samples;
    row["ratio"] = c.ratio();
    row["floor_bytes"] = c.floor_bytes;
    row["gb_per_s"] = c.gb_per_s();
    if (c.bound) {
      row["bound"] = c.streams.name();
      row["bound_ms"] = c.bound->median_ms;
    }
    if (c.bound_on_one_thread) {
      row["bound_on_one_thread_ms"] = c.bound_on_one_thread->median_ms;
    }
    document_["results"].push_back(row);
  }

  void check_errors() {
    if (!line_.only.empty()) {
      return;
    }
    constexpr double kMostUlps = 1.0;
    const std::int64_t num_indices = line_.is_quick ? 10'000 : 1'000'000;
    const UlpErrors errors = measure_bfloat16_errors(num_indices);
    const bool is_met = errors.rowlane <= kMostUlps;
    all_met_ &= is_met;
    std::cout << "\nerror of a bfloat16 gradient, " << format_count(num_indices)
              << " indices, zipf(1.0)\n  " << (is_met ? "met: " : "NOT MET: ") << errors.rowlane
              << " ulp (bar " << kMostUlps << "); torch: " << errors.torch << " ulp\n";
    document_["bars"].push_back({{"bar", "error of a bfloat16 gradient in ulp"},
                                 {"torch", errors.torch},
                                 {"rowlane", errors.rowlane},
                                 {"most", kMostUlps},
                                 {"met", is_met}});
  }

  const CommandLine& line_;
  std::vector<NamedProblem> problems_;
  std::optional<Ratings> ratings_;
  Json document_;
  bool all_met_ = true;
};

}  // namespace
}  // namespace rowlane::bench

int main(int argc, char** argv) {
  using namespace rowlane::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app(
      "Measures what the CPU's kernels promise against torch, side by side, and says of each bar "
      "whether it is met.",
      kProgram);
  CommandLine line;
  app.add_option("--workload", line.workloads, "default, all, or names separated by commas")
      ->capture_default_str();
  app.add_option("--only", line.only,
                 "forward, backward_dense, backward_rows, step_one_hot, step_overhead, threads")
      ->delimiter(',');
  app.add_option("--json", line.json_path, "also write the results to this file");
  app.add_option("--budget", line.budget_s, "seconds of timing per comparison")
      ->capture_default_str();
  app.add_option("--clock", line.clock,
                 "wall, or processor: the longest thread's processor time, for a busy machine")
      ->check(CLI::IsMember({"wall", "processor"}))
      ->capture_default_str();
  app.add_option("--data-dir", line.data_dir, "where ml-100k/ratings.csv is")
      ->capture_default_str();
  app.add_flag("--quick", line.is_quick, "tiny problems, to see that everything runs");
  CLI11_PARSE(app, argc, argv);
  if (line.clock == "processor" && std::getenv("OMP_WAIT_POLICY") == nullptr) {
    // Read when OpenMP is loaded, so the program begins once more.
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
  }
  return run_program(kProgram, [&] {
    const bool all_met = Bars(line).run();
    return all_met || line.is_quick ? EXIT_SUCCESS : EXIT_FAILURE;
  });
}
