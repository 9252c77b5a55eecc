#include "harness/plan.h"

#include <algorithm>
#include <cstddef>
#include <iostream>

#include "harness/format.h"

namespace rowlane::bench {
namespace {

// Rows and indices of a quick run.
constexpr std::int64_t kMaxQuickRows = 2000;
// Problems of each workload that a quick run covers.
constexpr std::size_t kQuickProblems = 2;

bool needs_ratings(const Workload& workload) {
  return workload.problems.front().indices.is_ratings();
}

}  // namespace

std::vector<Workload> plan_workloads(std::string_view selection, std::int64_t max_elems,
                                     bool is_quick) {
  std::vector<Workload> workloads = select_workloads(selection);
  for (Workload& workload : workloads) {
    if (is_quick && workload.problems.size() > kQuickProblems) {
      workload.problems.resize(kQuickProblems);
    }
    for (Problem& problem : workload.problems) {
      problem = scaled_to_fit(problem, is_quick ? kMaxQuickRows * problem.dim : max_elems);
    }
  }
  return workloads;
}

std::optional<Ratings> load_ratings_for(std::vector<Workload>& workloads,
                                        const std::filesystem::path& data_dir,
                                        const std::string& program) {
  if (std::none_of(workloads.begin(), workloads.end(), needs_ratings)) {
    return std::nullopt;
  }
  const std::filesystem::path path = ratings_path(data_dir);
  std::optional<Ratings> ratings = load_ratings(path);
  if (!ratings) {
    std::cerr << program << ": skipping fastbook, whose ratings are not in " << path.string()
              << "; get them with 'make data'.\n";
    std::erase_if(workloads, needs_ratings);
  }
  return ratings;
}

void print_workload_list(std::ostream& out) {
  constexpr std::size_t kNameWidth = 18;
  const auto print_all = [&](bool is_default) {
    for (const Workload& workload : all_workloads()) {
      if (workload.in_default_set == is_default) {
        out << "  " << pad_right(workload.name, kNameWidth) << workload.description << "\n";
        for (const Problem& problem : workload.problems) {
          out << std::string(2 + kNameWidth, ' ') << "  " << format_problem(problem) << "\n";
        }
      }
    }
  };
  out << "The default set (--workload default):\n";
  print_all(true);
  out << "Further workloads (--workload all, or by name), scaled down to this machine when they "
         "run:\n";
  print_all(false);
}

}  // namespace rowlane::bench
