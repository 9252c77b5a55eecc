// The standard workloads: which tables are looked up, how often, and by what indices.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/index_law.h"

namespace rowlane::bench {

// One table and one shape of look-up.
struct Problem {
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::vector<std::int64_t> index_shape;
  c10::ScalarType dtype = c10::ScalarType::Float;
  c10::ScalarType index_dtype = c10::ScalarType::Long;
  IndexSource indices;
  // Rows and indices as a share of the published workload's.
  double scale = 1.0;

  [[nodiscard]] std::int64_t num_indices() const;
  [[nodiscard]] std::int64_t elem_bytes() const;
  [[nodiscard]] std::int64_t index_bytes() const;
  // Elements of the table and of the output together.
  [[nodiscard]] std::int64_t num_elems() const;
};

struct Workload {
  std::string name;
  std::string description;
  std::vector<Problem> problems;
  bool in_default_set = false;
  // The dense gradient of the whole table is no part of what this workload stands for.
  bool forward_only = false;
  // Peak memory is compared with the one-hot product's.
  bool compares_memory = false;
  // The longest that a forward and backward pass of a one-hot product may be predicted to take.
  double one_hot_limit_s = 5.0;
};

// All workloads, those of the default set first.
const std::vector<Workload>& all_workloads();

// Those of whole training steps: "step", whose contenders are compared, and "step-rows" and
// "step-indices", along which a step grows. A quick run has tiny ones.
std::vector<Workload> step_workloads(bool is_quick);

// `selection` is "default", "all", or names separated by commas. Throws std::invalid_argument that
// lists the names when one is unknown.
std::vector<Workload> select_workloads(std::string_view selection);

// The same problem with rows and indices halved until num_elems() is at most `max_elems`: dim,
// dtype, indices per row and the law of the indices stay. Ratings are never scaled.
Problem scaled_to_fit(const Problem& problem, std::int64_t max_elems);

}  // namespace rowlane::bench
