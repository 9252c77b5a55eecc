// The result of rowlane-traffic for people, on stdout.
#pragma once

#include <ostream>
#include <vector>

#include "traffic/report.h"
#include "workloads/workload.h"

namespace rowlane::bench {

class TrafficTable {
 public:
  // With `has_color`, titles stand out.
  TrafficTable(std::ostream& out, bool has_color) : out_(out), has_color_(has_color) {}

  // The device, and what the columns mean.
  void print_header() const;
  void print_workload(const Workload& workload) const;
  void print_problem(const TrafficReport& report) const;
  // Geometric means over all problems.
  void print_summary(const std::vector<TrafficReport>& reports) const;

 private:
  void print_peers(const std::vector<TrafficReport>& reports) const;
  [[nodiscard]] std::string bold(const std::string& text) const;

  std::ostream& out_;
  bool has_color_;
};

}  // namespace rowlane::bench
