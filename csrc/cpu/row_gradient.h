// The gradient of a table as the rows that were looked up, with one sum each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <tuple>

namespace rowlane::cpu {

// grad_output [*, dim] of any strides, indices [*] -> rows int64 [num_unique], ascending, and sums
// [num_unique, dim]. padding_row (-1 for none) is no unique row. With scale_by_count each sum is
// divided by how often its row is looked up. Throws c10::IndexError, which begins with `op`, where
// an index is out of range.
std::tuple<at::Tensor, at::Tensor> row_gradient(std::string_view op, const at::Tensor& grad_output,
                                                const at::Tensor& indices, std::int64_t num_rows,
                                                std::int64_t padding_row, bool scale_by_count);

}  // namespace rowlane::cpu
