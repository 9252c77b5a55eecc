#include "padding.h"

#include <ATen/ops/full.h>

#include <algorithm>

namespace rowlane::examples {

at::Tensor pad_rows(std::span<const std::vector<std::int64_t>> lines, std::int64_t padding_row) {
  std::size_t longest = 0;
  for (const auto& line : lines) {
    longest = std::max(longest, line.size());
  }
  at::Tensor padded =
      at::full({static_cast<std::int64_t>(lines.size()), static_cast<std::int64_t>(longest)},
               padding_row, at::kLong);
  auto* out = padded.mutable_data_ptr<std::int64_t>();
  for (const auto& line : lines) {
    std::ranges::copy(line, out);
    out += longest;
  }
  return padded;
}

}  // namespace rowlane::examples
