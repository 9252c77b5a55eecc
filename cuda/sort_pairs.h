// Sorts the positions of an index list by the row that they name.
#pragma once

#include <cstdint>

#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "tuning.h"
#include "types.h"

namespace rowlane::kernels {

enum class SortMethod : std::uint8_t {
  kBlock,    // one launch of one block
  kTiles,    // two launches for each digit
  kLibrary,  // one that makes the pairs, then CUB's
};

// Keys and positions are both 32 bits wide where they fit, which is nearly always, and both 64 bits
// wide elsewhere.
struct PairFormat {
  bool wide = false;
  int key_bits = 1;  // that the sort compares
  int passes = 1;    // of kTiles
  SortMethod method = SortMethod::kLibrary;

  [[nodiscard]] std::int64_t value_bytes() const { return wide ? 8 : 4; }
  friend bool operator==(const PairFormat&, const PairFormat&) = default;
};

// Keys are 0 .. num_rows: num_rows itself marks an entry to skip.
PairFormat select_pair_format(std::int64_t num_rows, std::int64_t num_indices,
                              const Tuning& tuning = {});

// All pointers are device pointers. keys and positions hold num_indices values of
// format.value_bytes() each.
struct SortPairsArgs {
  const void* indices = nullptr;  // [num_indices]
  IndexType index_type = IndexType::kInt64;
  std::int64_t num_indices = 0;
  std::int64_t num_rows = 0;
  std::int64_t padding_row = -1;  // gets key num_rows, as indices out of range do; -1 for none
  PairFormat format;
  void* spare_keys = nullptr;  // as keys and positions; unused if sort_needs_spare() says so
  void* spare_positions = nullptr;
  void* keys = nullptr;       // out: the rows, ascending
  void* positions = nullptr;  // out: where each came from; ascending among equal rows
  void* temp = nullptr;
  std::int64_t temp_bytes = 0;
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// Whether there are pairs before they are sorted, or between two passes.
bool sort_needs_spare(PairFormat format);

// The size of SortPairsArgs::temp.
Status sort_pairs_temp_bytes(std::int64_t num_indices, PairFormat format, std::int64_t* bytes);

// Where each part of what a sort needs starts, in bytes, and its size: the pairs, a copy of them if
// sort_needs_spare(), and the sort's own needs.
struct SortWorkspace {
  std::int64_t spare_keys = 0;
  std::int64_t spare_positions = 0;
  std::int64_t keys = 0;
  std::int64_t positions = 0;
  std::int64_t temp = 0;
  std::int64_t temp_bytes = 0;
  std::int64_t total_bytes = 0;  // a multiple of 256
};

Status plan_sort_workspace(std::int64_t num_indices, PairFormat format, SortWorkspace* workspace);

// Points `args` to the parts of a workspace, which is 256-byte aligned.
void place_in_workspace(const SortWorkspace& plan, void* workspace, SortPairsArgs* args);

// Asynchronous on `stream`. Every method gives the same order.
Status sort_pairs(const SortPairsArgs& args, Stream stream);

}  // namespace rowlane::kernels
