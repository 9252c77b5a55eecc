#include "json_output.h"

#include <ATen/Parallel.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "format.h"
#include "machine.h"

namespace rowlane::bench {
namespace {

using Json = nlohmann::ordered_json;

// What names the problem in a row.
void add_problem(Json& row, const Problem& problem) {
  row["dtype"] = dtype_name(problem.dtype);
  row["index_dtype"] = dtype_name(problem.index_dtype);
  row["rows"] = problem.num_rows;
  row["dim"] = problem.dim;
  row["num_indices"] = problem.num_indices();
  row["indices"] = problem.indices.label();
}

Json to_json(const ProblemReport& report, const Result& result, const Settings& settings) {
  Json row;
  row["workload"] = report.workload;
  row["scale"] = report.problem.scale;
  row["op"] = to_string(result.op);
  row["impl"] = result.id.impl;
  row["algorithm"] = result.id.algorithm;
  add_problem(row, report.problem);
  row["median_ms"] = result.timing.median_ms;
  row["p20_ms"] = result.timing.p20_ms;
  row["p80_ms"] = result.timing.p80_ms;
  row["samples"] = result.timing.num_samples;
  row["cache"] = settings.is_cold ? "cold" : "warm";
  row["floor_bytes"] = report.floor_bytes(result.op);
  row["gb_per_s"] = report.gb_per_s(result);
  row["max_abs_error"] = result.max_abs_error;
  if (result.peak_bytes) {
    row["peak_bytes"] = *result.peak_bytes;
  }
  return row;
}

Json to_json(const ProblemReport& report, const Skip& skip) {
  Json row;
  row["workload"] = report.workload;
  row["scale"] = report.problem.scale;
  row["impl"] = skip.impl;
  add_problem(row, report.problem);
  row["reason"] = skip.reason;
  if (skip.estimated_peak_bytes) {
    row["estimated_peak_bytes"] = *skip.estimated_peak_bytes;
  }
  return row;
}

}  // namespace

void write_json(const std::filesystem::path& path, const Settings& settings,
                const std::string& date, const std::vector<ProblemReport>& reports) {
  Json document;
  document["schema"] = 1;
  document["date"] = date;
  document["commit"] = commit();
  document["torch"] = torch_version();
  document["cuda"] = nullptr;
  if (const auto cuda = cuda_version()) {
    document["cuda"] = *cuda;
  }
  document["threads"] = at::get_num_threads();
  document["device"]["kind"] = settings.device.is_cpu() ? "cpu" : "cuda";
  document["device"]["name"] = device_name(settings.device);
  document["results"] = Json::array();
  document["skipped"] = Json::array();
  for (const ProblemReport& report : reports) {
    for (const Result& result : report.results) {
      document["results"].push_back(to_json(report, result, settings));
    }
    for (const Skip& skip : report.skips) {
      document["skipped"].push_back(to_json(report, skip));
    }
  }
  std::ofstream file(path);
  file << document.dump(1) << "\n";
  file.close();
  if (!file) {
    throw std::runtime_error("The results could not be written to " + path.string() + ".");
  }
}

}  // namespace rowlane::bench
