// Index lists that exercise every shape of repetition.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace rowlane::testing {

enum class IndexSet : std::uint8_t {
  kEmpty,
  kOne,
  kAllDifferent,
  kAllEqual,
  kSorted,
  kReversed,
  kZipf,
  kRunAcrossTileEdge,  // the device code works in tiles of 256 sorted indices
  kLastRow,
};

inline constexpr std::array kAllIndexSets{
    IndexSet::kEmpty,  IndexSet::kOne,      IndexSet::kAllDifferent, IndexSet::kAllEqual,
    IndexSet::kSorted, IndexSet::kReversed, IndexSet::kZipf,         IndexSet::kRunAcrossTileEdge,
    IndexSet::kLastRow};

std::string_view to_string(IndexSet set);

// int64 indices into a table of num_rows rows, at most max_indices of them, the same in every run.
torch::Tensor make_indices(IndexSet set, std::int64_t num_rows, std::int64_t max_indices);

}  // namespace rowlane::testing
