// What rowlane-traffic found out about one problem.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "traffic/traffic.h"
#include "workload.h"

namespace rowlane::bench {

struct TrafficRow {
  bool is_forward = true;
  std::string algorithm;  // "gather", "sorted", "atomic"
  Traffic counted;
  std::string torch_algorithm;
  Traffic torch;  // by formula
};

struct TrafficReport {
  std::string workload;
  Problem problem;
  // Of the emulated device, and so the problem's scale.
  double l2_scale = 1.0;
  // Of the forward, each distinct row read once.
  std::int64_t distinct_bytes = 0;
  std::vector<TrafficRow> rows;
};

}  // namespace rowlane::bench
