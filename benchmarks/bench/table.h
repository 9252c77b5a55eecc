// The result for people, on stdout.
#pragma once

#include <ostream>
#include <vector>

#include "bench/result.h"
#include "bench/settings.h"
#include "workloads/workload.h"

namespace rowlane::bench {

class TablePrinter {
 public:
  // With `has_color`, faster than the baseline is green and slower is red.
  TablePrinter(std::ostream& out, bool has_color) : out_(out), has_color_(has_color) {}

  // Device, versions, and what the columns mean.
  void print_header(const Settings& settings) const;
  // The columns of a workload's tables.
  void print_workload(const Workload& workload) const;
  // One line per implementation.
  void print_problem(const ProblemReport& report) const;
  // Geometric means of the speed-ups per implementation and operation.
  void print_summary(const std::vector<ProblemReport>& reports) const;
  // Measured and estimated peaks, where a workload compares them.
  void print_memory(const std::vector<ProblemReport>& reports) const;

 private:
  [[nodiscard]] std::string styled(const std::string& text, const char* style) const;
  [[nodiscard]] std::string speed_up_cell(double speed_up, std::size_t width) const;
  [[nodiscard]] std::string timing_cells(const ProblemReport& report, const Result* result) const;

  std::ostream& out_;
  bool has_color_;
};

}  // namespace rowlane::bench
