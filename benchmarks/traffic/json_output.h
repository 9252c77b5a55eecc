// The machine-readable result of rowlane-traffic.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "traffic/report.h"

namespace rowlane::bench {

// Writes schema 1 for the device kind "emulated": rows of the implementations "rowlane" (counted)
// and "torch_by_formula". Throws std::runtime_error when the file can't be written.
void write_traffic_json(const std::filesystem::path& path, const std::string& date,
                        const std::vector<TrafficReport>& reports);

}  // namespace rowlane::bench
