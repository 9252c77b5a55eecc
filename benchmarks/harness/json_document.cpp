#include "harness/json_document.h"

#include <ATen/Parallel.h>

#include <fstream>
#include <stdexcept>

#include "harness/format.h"
#include "harness/machine.h"

namespace rowlane::bench {

Json begin_document(const std::string& device_kind, const std::string& device_name,
                    const std::string& date) {
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
  document["device"]["kind"] = device_kind;
  document["device"]["name"] = device_name;
  document["results"] = Json::array();
  return document;
}

Json to_json(const Bandwidth& bandwidth) {
  return {{"threads", bandwidth.threads},
          {"copy_gb_per_s", bandwidth.copy_gb_per_s},
          {"fill_gb_per_s", bandwidth.fill_gb_per_s},
          {"zero_gb_per_s", bandwidth.zero_gb_per_s},
          {"read_gb_per_s", bandwidth.read_gb_per_s}};
}

Json begin_row(const std::string& workload, const Problem& problem) {
  Json row;
  row["workload"] = workload;
  row["scale"] = problem.scale;
  return row;
}

void add_problem(Json& row, const Problem& problem) {
  row["dtype"] = dtype_name(problem.dtype);
  row["index_dtype"] = dtype_name(problem.index_dtype);
  row["rows"] = problem.num_rows;
  row["dim"] = problem.dim;
  row["num_indices"] = problem.num_indices();
  row["indices"] = problem.indices.label();
}

void write_document(const std::filesystem::path& path, const Json& document) {
  std::ofstream file(path);
  file << document.dump(1) << "\n";
  file.close();
  if (!file) {
    throw std::runtime_error("The results could not be written to " + path.string() + ".");
  }
}

}  // namespace rowlane::bench
