// Gradients by adding each look-up's to its row's sum, for tables that fit into the cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "csrc/cpu/grad_rows.h"

namespace rowlane::cpu {

// Into how many shares the index list is cut, each with sums of its own, which are added in order;
// 0 where sorting is faster. Depends on the problem alone, not on the number of threads.
std::int64_t select_scatter_shares(std::int64_t num_rows, std::int64_t num_indices,
                                   const GradRows& grads);

// -> [num_rows, dim]. indices is contiguous and has been checked; those equal to skipped_row (-1
// for none) are left out.
at::Tensor scatter_sums(const at::Tensor& indices, const GradRows& grads, std::int64_t num_rows,
                        std::int64_t skipped_row, std::int64_t num_shares);

}  // namespace rowlane::cpu
