// Initial values as fastai draws them.
#pragma once

#include <cstdint>

#include "rowlane/nn/embedding.h"

namespace rowlane::examples {

// A table [num_rows, dim] drawn from N(0, 0.01^2), with what is beyond two deviations wrapped
// around (torch's generator, one draw per element).
at::Tensor fastai_table(std::int64_t num_rows, std::int64_t dim);

// A trainable module around such a table.
nn::Embedding fastai_embedding(std::int64_t num_rows, std::int64_t dim);

}  // namespace rowlane::examples
