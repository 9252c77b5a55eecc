// How wide a table of categories should be.
#pragma once

#include <cstdint>

namespace rowlane::examples {

// fastai's rule: min(600, round(1.6 n^0.56)) for `num_categories` n, with the row for missing and
// unseen values counted. 3 categories get 3 elements, 944 users 74.
std::int64_t embedding_width(std::int64_t num_categories);

}  // namespace rowlane::examples
