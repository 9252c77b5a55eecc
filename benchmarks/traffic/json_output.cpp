#include "traffic/json_output.h"

#include <utility>

#include "cuda/simt/emulated/options.h"
#include "harness/json_document.h"

namespace rowlane::bench {
namespace {

Json to_json(const TrafficReport& report, const std::string& op, const std::string& impl,
             const std::string& algorithm, const Traffic& traffic) {
  Json json = begin_row(report.workload, report.problem);
  json["op"] = op;
  json["impl"] = impl;
  json["algorithm"] = algorithm;
  add_problem(json, report.problem);
  json["cache"] = "cold";
  json["l2_scale"] = report.l2_scale;
  json["launches"] = traffic.launches;
  json["dram_read_bytes"] = traffic.dram_read_bytes;
  json["dram_write_bytes"] = traffic.dram_write_bytes;
  json["floor_bytes"] = traffic.floor_bytes;
  if (op == "forward") {
    json["distinct_row_bytes"] = report.distinct_bytes;
  }
  if (traffic.sector_use) {
    json["sector_use"] = *traffic.sector_use;
  }
  json["longest_atomic_chain"] = traffic.longest_atomic_chain;
  json["modelled_us"] = traffic.modelled_us;
  json["slowest"] = traffic.slowest;
  return json;
}

}  // namespace

void write_traffic_json(const std::filesystem::path& path, const std::string& date,
                        const std::vector<TrafficReport>& reports) {
  Json document = begin_document("emulated", simt::emulated::options().device->name, date);
  for (const TrafficReport& report : reports) {
    std::string last_op;
    for (const TrafficRow& row : report.rows) {
      Json json = to_json(report, row.op, "rowlane", row.algorithm, row.counted);
      json["is_auto"] = row.is_auto;
      document["results"].push_back(std::move(json));
      // Torch has one algorithm for each op, whichever of Rowlane's it stands beside.
      if (row.torch && row.op != last_op) {
        document["results"].push_back(
            to_json(report, row.op, "torch_by_formula", row.torch_algorithm, *row.torch));
      }
      last_op = row.op;
    }
    for (const PeerRow& peer : report.peers) {
      document["results"].push_back(to_json(report, "backward_dense", peer.key + "_by_formula",
                                            peer.algorithm, peer.traffic));
    }
  }
  write_document(path, document);
}

}  // namespace rowlane::bench
