// Implementations that are torch::nn or rowlane::nn modules, apart because their headers are slow
// to compile.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/implementation.h"
#include "rowlane/embedding.h"

namespace rowlane::bench {

// The modules share the storage of `table` [num_rows, dim].
Implementation rowlane_module(const at::Tensor& table, BackwardAlgorithm algorithm);
Implementation nn_embedding(const at::Tensor& table);

// nn::Linear without bias on a one-hot matrix; it holds a transposed copy of `table`.
Implementation one_hot_linear(const at::Tensor& table);

}  // namespace rowlane::bench
