// What the machine-readable results of all benchmark programs have in common: schema 1.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/memory_streams.h"
#include "workloads/workload.h"

namespace rowlane::bench {

using Json = nlohmann::ordered_json;

// Date, versions, threads and the device that the figures are for, with an empty list "results".
Json begin_document(const std::string& device_kind, const std::string& device_name,
                    const std::string& date);

Json to_json(const Bandwidth& bandwidth);

// A row that names its workload and scale.
Json begin_row(const std::string& workload, const Problem& problem);

// Types, sizes and the law of the indices.
void add_problem(Json& row, const Problem& problem);

// Throws std::runtime_error when the file can't be written.
void write_document(const std::filesystem::path& path, const Json& document);

}  // namespace rowlane::bench
