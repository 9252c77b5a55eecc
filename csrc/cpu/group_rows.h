// Groups the positions of an index list by the row that they name.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace rowlane::cpu {

// Row r is named at positions[offsets[r]] .. positions[offsets[r + 1]], in ascending order.
struct RowGroups {
  std::vector<std::int64_t> offsets;          // [num_rows + 1]
  std::unique_ptr<std::int64_t[]> positions;  // [offsets[num_rows]]

  [[nodiscard]] std::int64_t count(std::int64_t row) const {
    return offsets[static_cast<std::size_t>(row) + 1] - offsets[static_cast<std::size_t>(row)];
  }
  [[nodiscard]] const std::int64_t* begin(std::int64_t row) const {
    return positions.get() + offsets[static_cast<std::size_t>(row)];
  }
};

// A counting sort: O(num_indices + num_rows) time and memory. The indices have been checked;
// padding_row (-1 for none) gets an empty group.
template <typename IndexT>
RowGroups group_rows(const IndexT* indices, std::int64_t num_indices, std::int64_t num_rows,
                     std::int64_t padding_row);

extern template RowGroups group_rows(const std::int32_t*, std::int64_t, std::int64_t, std::int64_t);
extern template RowGroups group_rows(const std::int64_t*, std::int64_t, std::int64_t, std::int64_t);

}  // namespace rowlane::cpu
