// Gradients by sorting the index list: any number of rows, any skew.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/loops/step_loops.h"
#include "csrc/cpu/sort_indices.h"

namespace rowlane::cpu {

// The sum of each row's gradients, and zeros for the others, in one pass -> [num_rows, dim].
at::Tensor sorted_dense_sums(const SortedIndices& indices, const GradRows& grads,
                             std::int64_t num_rows, bool divides_by_count);

// -> the rows in ascending order [num_unique], and their sums [num_unique, dim].
std::tuple<at::Tensor, at::Tensor> sorted_row_sums(const SortedIndices& indices,
                                                   const GradRows& grads, bool divides_by_count);

// Steps each row by the sum of its gradients, as soon as it is known: no gradient exists in memory.
void sorted_row_steps(const SortedIndices& indices, const GradRows& grads, const StepArgs& args);

}  // namespace rowlane::cpu
