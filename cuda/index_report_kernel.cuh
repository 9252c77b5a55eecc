// How kernels report an index that is out of range.
#pragma once

#include "cuda/index_report.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

ROWLANE_DEVICE bool is_row(std::int64_t index, std::int64_t num_rows) {
  return static_cast<std::uint64_t>(index) < static_cast<std::uint64_t>(num_rows);
}

// Counts an index that is not a row; the first thread to do so also describes it. `report` may be
// null. One thread calls it for each such index.
ROWLANE_DEVICE void report_index(IndexReport* report, std::int64_t position, std::int64_t index,
                                 std::int64_t num_rows, std::int64_t first_row = 0,
                                 std::int64_t table = 0) {
  if (report != nullptr && simt::atomic_add(&report->num_bad, 1) == 0) {
    simt::store(&report->position, position);
    simt::store(&report->index, index);
    simt::store(&report->num_rows, num_rows);
    if (first_row != 0 || table != 0) {
      simt::store(&report->first_row, first_row);
      simt::store(&report->table, table);
    }
    simt::fence_system();
    simt::store(&report->is_complete, 1);
  }
}

}  // namespace rowlane::kernels
