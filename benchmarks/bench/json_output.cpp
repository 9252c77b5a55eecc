#include "bench/json_output.h"

#include "harness/json_document.h"
#include "harness/machine.h"

namespace rowlane::bench {
namespace {

Json to_json(const ProblemReport& report, const Result& result, const Settings& settings) {
  Json row = begin_row(report.workload, report.problem);
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
  Json row = begin_row(report.workload, report.problem);
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
                const std::string& date, const std::optional<Bandwidth>& bandwidth,
                const std::vector<ProblemReport>& reports) {
  Json document =
      begin_document(settings.device.is_cpu() ? "cpu" : "cuda", device_name(settings.device), date);
  if (settings.keeps_memory) {
    document["malloc"] = "keeps freed memory";
  }
  if (bandwidth) {
    document["memory"].push_back(to_json(*bandwidth));
  }
  document["skipped"] = Json::array();
  for (const ProblemReport& report : reports) {
    for (const Result& result : report.results) {
      document["results"].push_back(to_json(report, result, settings));
    }
    for (const Skip& skip : report.skips) {
      document["skipped"].push_back(to_json(report, skip));
    }
  }
  write_document(path, document);
}

}  // namespace rowlane::bench
