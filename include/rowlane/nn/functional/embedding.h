// rowlane::nn::functional::embedding: the look-up under the name and with the order of arguments
// that torch::nn::functional has.
#pragma once

#include <ATen/core/Tensor.h>

#include "rowlane/embedding.h"

namespace rowlane::nn::functional {

using rowlane::EmbeddingFuncOptions;

// rowlane::embedding(weight, input, options), which see.
inline at::Tensor embedding(const at::Tensor& input, const at::Tensor& weight,
                            const EmbeddingFuncOptions& options = {}) {
  return rowlane::embedding(weight, input, options);
}

}  // namespace rowlane::nn::functional
