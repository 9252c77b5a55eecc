#include "csrc/cpu/group_rows.h"

namespace rowlane::cpu {

template <typename IndexT>
RowGroups group_rows(const IndexT* indices, std::int64_t num_indices, std::int64_t num_rows,
                     std::int64_t padding_row) {
  RowGroups groups;
  // While it is built, offsets[r + 1] is the end of what has been placed of row r; it starts as the
  // row's beginning.
  groups.offsets.assign(static_cast<std::size_t>(num_rows) + 2, 0);
  std::int64_t* const next = groups.offsets.data() + 1;
  for (std::int64_t i = 0; i < num_indices; ++i) {
    ++next[indices[i] + 1];
  }
  if (padding_row >= 0) {
    next[padding_row + 1] = 0;
  }
  for (std::int64_t row = 1; row <= num_rows; ++row) {
    next[row] += next[row - 1];
  }
  groups.positions =
      std::make_unique_for_overwrite<std::int64_t[]>(static_cast<std::size_t>(next[num_rows]));
  for (std::int64_t i = 0; i < num_indices; ++i) {
    if (indices[i] != padding_row) {
      groups.positions[static_cast<std::size_t>(next[indices[i]]++)] = i;
    }
  }
  groups.offsets.pop_back();
  return groups;
}

template RowGroups group_rows(const std::int32_t*, std::int64_t, std::int64_t, std::int64_t);
template RowGroups group_rows(const std::int64_t*, std::int64_t, std::int64_t, std::int64_t);

}  // namespace rowlane::cpu
