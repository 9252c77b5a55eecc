#include "tests/support/index_sets.h"

#include "workloads/index_law.h"

namespace rowlane::testing {

std::string_view to_string(IndexSet set) {
  switch (set) {
    case IndexSet::kEmpty:
      return "Empty";
    case IndexSet::kOne:
      return "One";
    case IndexSet::kAllDifferent:
      return "AllDifferent";
    case IndexSet::kAllEqual:
      return "AllEqual";
    case IndexSet::kSorted:
      return "Sorted";
    case IndexSet::kReversed:
      return "Reversed";
    case IndexSet::kZipf:
      return "Zipf";
    case IndexSet::kRunAcrossTileEdge:
      return "RunAcrossTileEdge";
    case IndexSet::kLastRow:
      return "LastRow";
  }
  return "Unknown";
}

torch::Tensor make_indices(IndexSet set, std::int64_t num_rows, std::int64_t max_indices) {
  torch::manual_seed(7);
  switch (set) {
    case IndexSet::kEmpty:
      return torch::empty({0}, torch::kLong);
    case IndexSet::kOne:
      return torch::full({1}, num_rows / 2, torch::kLong);
    case IndexSet::kAllDifferent:
      return torch::randperm(num_rows, torch::kLong).narrow(0, 0, std::min(num_rows, max_indices));
    case IndexSet::kAllEqual:
      return torch::full({max_indices}, num_rows / 3, torch::kLong);
    case IndexSet::kSorted:
      return std::get<0>(torch::randint(num_rows, {max_indices}, torch::kLong).sort());
    case IndexSet::kReversed:
      return std::get<0>(
          torch::randint(num_rows, {max_indices}, torch::kLong).sort(0, /*descending=*/true));
    case IndexSet::kZipf:
      return torch::tensor(bench::draw_indices(bench::zipf(1.0), num_rows, max_indices),
                           torch::kLong);
    case IndexSet::kRunAcrossTileEdge: {
      // 250 indices of earlier rows, then one run over the edges at 256 and 512.
      const auto before = torch::arange(250, torch::kLong).remainder(num_rows - 1);
      return torch::cat({before, torch::full({300}, num_rows - 1, torch::kLong)});
    }
    case IndexSet::kLastRow:
      return torch::full({3}, num_rows - 1, torch::kLong);
  }
  return {};
}

}  // namespace rowlane::testing
