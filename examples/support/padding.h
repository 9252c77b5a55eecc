// Lines of different lengths as one tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace rowlane::examples {

// [lines.size(), longest], int64: each line, filled up with `padding_row`.
at::Tensor pad_rows(std::span<const std::vector<std::int64_t>> lines, std::int64_t padding_row);

}  // namespace rowlane::examples
