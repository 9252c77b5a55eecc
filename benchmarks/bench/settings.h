// What the command line decides.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace rowlane::bench {

struct Settings {
  std::string workloads = "default";
  at::Device device = at::kCPU;
  bool is_cold = false;
  // malloc does not give freed memory back to the system.
  bool keeps_memory = false;
  // Tiny problems and few samples: shows that everything runs.
  bool is_quick = false;
  // Seconds of timing per workload.
  double budget_s = 12.0;
  // Instead of the workloads' own limits.
  std::optional<double> one_hot_limit_s;
  // Problems are scaled down to this many elements of table and output.
  std::int64_t max_elems = 0;
  std::filesystem::path data_dir;
  std::filesystem::path json_path;
};

}  // namespace rowlane::bench
