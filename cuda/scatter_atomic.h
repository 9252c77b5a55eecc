// Atomic scatter: grad_table[indices[i]] += grad_output[i].
#pragma once

#include <cstdint>

#include "grad_source.h"
#include "index_report.h"
#include "simt/status.h"
#include "simt/stream.h"
#include "types.h"

namespace rowlane::kernels {

// All pointers are device pointers, aligned to the element type.
struct ScatterAtomicArgs {
  GradSourceArgs source{};        // with its stride
  const void* indices = nullptr;  // [num_indices]
  void* grad_table = nullptr;     // [num_rows, dim], added to
  std::int64_t num_rows = 0;
  std::int64_t dim = 0;
  std::int64_t num_indices = 0;
  std::int64_t padding_row = -1;  // skipped; -1 for none
  ElemType elem_type =
      ElemType::kFloat32;  // kFloat32 or kFloat64: nothing is accumulated in 16 bits
  IndexType index_type = IndexType::kInt64;
  IndexReport* report = nullptr;  // of indices out of range; null: they are not reported
};

// One launch, asynchronous on `stream`; the order of the additions is the hardware's. An index out
// of range is skipped and reported.
Status scatter_atomic(const ScatterAtomicArgs& args, Stream stream);

}  // namespace rowlane::kernels
