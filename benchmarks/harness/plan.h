// What a run of a benchmark program covers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/index_batches.h"
#include "workloads/workload.h"

namespace rowlane::bench {

// The selected workloads (select_workloads()), their problems scaled to at most `max_elems`
// elements. A quick run has the first few problems of each workload, made tiny. Throws
// std::invalid_argument.
std::vector<Workload> plan_workloads(std::string_view selection, std::int64_t max_elems,
                                     bool is_quick);

// The ratings, if one of the workloads needs them. When they are not there, such workloads are
// dropped and stderr says so in the name of `program`.
std::optional<Ratings> load_ratings_for(std::vector<Workload>& workloads,
                                        const std::filesystem::path& data_dir,
                                        const std::string& program);

// All workloads with their problems, for --list.
void print_workload_list(std::ostream& out);

}  // namespace rowlane::bench
