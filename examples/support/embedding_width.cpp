#include "embedding_width.h"

#include <algorithm>
#include <cmath>

namespace rowlane::examples {

std::int64_t embedding_width(std::int64_t num_categories) {
  constexpr std::int64_t kLargest = 600;
  const double width = 1.6 * std::pow(static_cast<double>(num_categories), 0.56);
  return std::min(kLargest, static_cast<std::int64_t>(std::llrint(width)));
}

}  // namespace rowlane::examples
