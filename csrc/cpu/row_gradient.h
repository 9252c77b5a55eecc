// The row gradient on the CPU: the rows that are looked up, and one summed gradient each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <tuple>

namespace rowlane::cpu {

// grad_output [*, D] and indices [*] of num_rows rows, of types that have been checked, to the rows
// in indices, int64 [U], ascending and without padding_row (-1 for none), and their sums [U, D].
// Sums are accumulated in float (double for double), in order of position; scale_by_count divides
// each by how often its row is in indices. Throws c10::IndexError as check_indices() does; `op`
// begins the message.
std::tuple<at::Tensor, at::Tensor> row_gradient(std::string_view op, const at::Tensor& grad_output,
                                                const at::Tensor& indices, std::int64_t num_rows,
                                                std::int64_t padding_row, bool scale_by_count);

}  // namespace rowlane::cpu
