// rowlane-traffic: how many bytes do Rowlane's kernels move, and how few would do?
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

#include "cuda/simt/emulated/options.h"
#include "harness/format.h"
#include "harness/machine.h"
#include "harness/plan.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "traffic/floors.h"
#include "traffic/json_output.h"
#include "traffic/peer_formula.h"
#include "traffic/report.h"
#include "traffic/table.h"
#include "traffic/torch_formula.h"
#include "workloads/workload.h"

namespace rowlane::bench {
namespace {

constexpr const char* kProgram = "rowlane-traffic";
// Problems of this size take seconds each on two cores, and the default set needs no scaling.
constexpr std::int64_t kMaxElems = 200'000'000;

struct TrafficSettings {
  std::string workloads = "default";
  std::string device = "h100";
  std::filesystem::path json_path;
  std::filesystem::path data_dir;
  int num_threads = 0;
  bool is_quick = false;
  bool is_list = false;
};

void define_options(CLI::App& app, TrafficSettings& settings) {
  app.add_option("--workload", settings.workloads,
                 "default, all, or names separated by commas (see --list)")
      ->capture_default_str();
  std::vector<std::string> devices;
  for (const simt::emulated::DeviceModel& device : simt::emulated::all_devices()) {
    devices.emplace_back(device.name);
  }
  app.add_option("--device", settings.device, "the device that is modelled")
      ->check(CLI::IsMember(devices))
      ->capture_default_str();
  app.add_option("--threads", settings.num_threads, "CPU threads; all by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--json", settings.json_path, "also write the results to this file");
  app.add_option("--data-dir", settings.data_dir, "where ml-100k/ratings.csv is")
      ->capture_default_str();
  app.add_flag("--quick", settings.is_quick, "tiny problems, to see that everything runs");
  app.add_flag("--list", settings.is_list, "list the workloads and stop");
}

kernels::ElemType elem_type_of(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Double:
      return kernels::ElemType::kFloat64;
    case c10::ScalarType::Half:
      return kernels::ElemType::kFloat16;
    case c10::ScalarType::BFloat16:
      return kernels::ElemType::kBFloat16;
    default:
      return kernels::ElemType::kFloat32;
  }
}

TrafficReport run_problem(const Workload& workload, const Problem& problem, const Ratings* ratings,
                          Progress& progress) {
  const simt::emulated::ScopedOptions scoped;
  scoped->l2_scale = problem.scale;
  const auto step = [&](const std::string& what) {
    progress.step(format_problem(problem) + ", " + what);
  };
  step("drawing indices");
  const TrafficProblem traffic{.num_rows = problem.num_rows,
                               .dim = problem.dim,
                               .elem_type = elem_type_of(problem.dtype),
                               .index_type = problem.index_dtype == c10::ScalarType::Int
                                                 ? kernels::IndexType::kInt32
                                                 : kernels::IndexType::kInt64,
                               .indices = make_indices(problem, 1, ratings)};
  TrafficReport report{.workload = workload.name,
                       .problem = problem,
                       .l2_scale = problem.scale,
                       .distinct_bytes = distinct_gather_bytes(traffic),
                       .rows = {},
                       .peers = {}};
  const TrafficMeter meter(traffic);
  step("forward");
  report.rows.push_back({.op = "forward",
                         .algorithm = "gather",
                         .is_auto = true,
                         .counted = meter.forward(),
                         .torch_algorithm = "gather",
                         .torch = torch_forward(traffic)});
  if (workload.forward_only) {
    return report;
  }
  const TorchBackward torch = torch_backward(traffic);
  const bool is_small = meter.chosen() == kernels::ChosenBackward::kSmall;
  const auto add_backward = [&](const char* algorithm, kernels::BackwardRequest request,
                                bool is_auto) {
    step(std::string("backward ") + algorithm);
    report.rows.push_back({.op = "backward_dense",
                           .algorithm = algorithm,
                           .is_auto = is_auto,
                           .counted = meter.backward(request),
                           .torch_algorithm = torch.algorithm,
                           .torch = torch.traffic});
  };
  add_backward("sorted", kernels::BackwardRequest::kSorted, !is_small);
  if (traffic.num_indices() <= kernels::kSmallMaxIndices) {
    add_backward("small", kernels::BackwardRequest::kSmall, is_small);
  }
  if (traffic.has_atomic()) {
    add_backward("atomic", kernels::BackwardRequest::kAtomic, false);
  }
  for (const Peer& peer : backward_peers()) {
    if (const std::optional<Traffic> moved = peer.backward(traffic)) {
      report.peers.push_back({peer.name, peer.key, peer.algorithm, *moved});
    }
  }
  step("row gradient");
  report.rows.push_back({.op = "backward_rows",
                         .algorithm = "sorted",
                         .is_auto = true,
                         .counted = meter.row_gradient(),
                         .torch_algorithm = {},
                         .torch = {}});
  for (const auto& [op, rule] : {std::pair("step_sgd", kernels::StepRule::kSgd),
                                 std::pair("step_adam", kernels::StepRule::kAdam)}) {
    step(op);
    report.rows.push_back({.op = op,
                           .algorithm = "fused",
                           .is_auto = true,
                           .counted = meter.step(rule),
                           .torch_algorithm = {},
                           .torch = {}});
  }
  return report;
}

bool wants_color() { return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

void run(const TrafficSettings& settings) {
  const std::string date = utc_date();
  simt::emulated::Options& options = simt::emulated::options();
  options.device = simt::emulated::find_device(settings.device);
  options.host_threads = settings.num_threads > 0
                             ? settings.num_threads
                             : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<Workload> workloads =
      plan_workloads(settings.workloads, kMaxElems, settings.is_quick);
  const std::optional<Ratings> ratings = load_ratings_for(workloads, settings.data_dir, kProgram);
  Progress progress(kProgram);
  const TrafficTable table(std::cout, wants_color());
  table.print_header();
  std::vector<TrafficReport> reports;
  for (std::size_t i = 0; i < workloads.size(); ++i) {
    const Workload& workload = workloads[i];
    progress.begin_workload(workload.name + " (" + std::to_string(i + 1) + " of " +
                            std::to_string(workloads.size()) + ")");
    table.print_workload(workload);
    for (const Problem& problem : workload.problems) {
      reports.push_back(run_problem(workload, problem, ratings ? &*ratings : nullptr, progress));
      progress.clear();
      table.print_problem(reports.back());
    }
  }
  table.print_summary(reports);
  if (!settings.json_path.empty()) {
    write_traffic_json(settings.json_path, date, reports);
    std::cout << "\nWritten to " << settings.json_path.string() << "\n";
  }
}

}  // namespace
}  // namespace rowlane::bench

int main(int argc, char** argv) {
  using namespace rowlane::bench;  // NOLINT(google-build-using-namespace)
  CLI::App app(
      "Counts what Rowlane's kernels move between DRAM and the caches, on an emulated device that "
      "needs no GPU, and holds it against the fewest bytes possible and torch's algorithm.",
      kProgram);
  TrafficSettings settings;
  settings.data_dir = ROWLANE_BENCH_DATA_DIR;
  define_options(app, settings);
  CLI11_PARSE(app, argc, argv);
  return run_program(kProgram, [&] {
    if (settings.is_list) {
      print_workload_list(std::cout);
      return EXIT_SUCCESS;
    }
    run(settings);
    return EXIT_SUCCESS;
  });
}
