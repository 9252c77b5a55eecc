// Sorts the positions of an index list by the row that they name.
#pragma once

#include <cstdint>

#include "simt/stream.h"
#include "status.h"
#include "types.h"

namespace rowlane::kernels {

// Keys and positions are both 32 bits wide where they fit, which is nearly always, and both 64 bits
// wide elsewhere.
struct PairFormat {
  bool wide = false;
  int key_bits = 1;  // that the sort compares

  [[nodiscard]] std::int64_t value_bytes() const { return wide ? 8 : 4; }
  friend bool operator==(const PairFormat&, const PairFormat&) = default;
};

// Keys are 0 .. num_rows: num_rows itself marks an entry to skip.
PairFormat select_pair_format(std::int64_t num_rows, std::int64_t num_indices);

// All pointers are device pointers. keys and positions hold num_indices values of
// format.value_bytes() each.
struct SortPairsArgs {
  const void* indices = nullptr;  // [num_indices]
  IndexType index_type = IndexType::kInt64;
  std::int64_t num_indices = 0;
  std::int64_t num_rows = 0;
  std::int64_t padding_row = -1;  // gets key num_rows, as indices out of range do; -1 for none
  PairFormat format;
  void* unsorted_keys = nullptr;
  void* unsorted_positions = nullptr;
  void* keys = nullptr;       // out: the rows, ascending
  void* positions = nullptr;  // out: where each came from; ascending among equal rows
  void* temp = nullptr;
  std::int64_t temp_bytes = 0;
};

// The size of SortPairsArgs::temp.
Status sort_pairs_temp_bytes(std::int64_t num_indices, PairFormat format, std::int64_t* bytes);

// Asynchronous on `stream`: one launch that makes the pairs, then the radix sort's.
Status sort_pairs(const SortPairsArgs& args, Stream stream);

}  // namespace rowlane::kernels
