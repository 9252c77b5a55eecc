// What rowlane-traffic found out about one problem.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "traffic/traffic.h"
#include "workloads/workload.h"

namespace rowlane::bench {

struct TrafficRow {
  // "forward", "backward_dense", "backward_rows", "step_sgd", "step_adam"
  std::string op;
  std::string algorithm;  // "gather", "sorted", "small", "atomic", "fused"
  bool is_auto = false;   // what Rowlane chooses
  Traffic counted;
  std::string torch_algorithm;
  std::optional<Traffic> torch;  // by formula; none where torch has no such thing
};

// Another library's dense gradient, by formula.
struct PeerRow {
  std::string name;
  std::string key;  // in the JSON
  std::string algorithm;
  Traffic traffic;
};

struct TrafficReport {
  std::string workload;
  Problem problem;
  // The emulated device's scale, and so the problem's.
  double l2_scale = 1.0;
  // What the forward pass must move, each distinct row read once.
  std::int64_t distinct_bytes = 0;
  std::vector<TrafficRow> rows;
  std::vector<PeerRow> peers;
};

}  // namespace rowlane::bench
