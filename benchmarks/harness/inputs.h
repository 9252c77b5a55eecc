// The tensors that a problem is measured with.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "workloads/index_batches.h"

namespace rowlane::bench {

struct Inputs {
  at::Tensor table;                       // [num_rows, dim]
  std::vector<at::Tensor> index_batches;  // each problem.index_shape
  at::Tensor output_grad;                 // [*index_shape, dim]

  // Those of a call: the batches take turns.
  [[nodiscard]] const at::Tensor& indices(int call) const {
    return index_batches[static_cast<std::size_t>(call) % index_batches.size()];
  }
};

// The same in every run. `ratings` as in make_index_batches().
Inputs make_inputs(const Problem& problem, const Ratings* ratings, at::Device device);

}  // namespace rowlane::bench
