// The machine-readable result.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/result.h"
#include "bench/settings.h"
#include "harness/memory_streams.h"

namespace rowlane::bench {

// Writes schema 1: one entry in "results" per workload, problem, operation and implementation, and
// one in "skipped" per implementation that did not run. Throws std::runtime_error when the file
// can't be written.
void write_json(const std::filesystem::path& path, const Settings& settings,
                const std::string& date, const std::optional<Bandwidth>& bandwidth,
                const std::vector<ProblemReport>& reports);

}  // namespace rowlane::bench
