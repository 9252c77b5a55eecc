#include "harness/inputs.h"

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

namespace rowlane::bench {

Inputs make_inputs(const Problem& problem, const Ratings* ratings, at::Device device) {
  constexpr int kNumBatches = 4;
  constexpr std::uint64_t kSeed = 1;
  at::manual_seed(kSeed);
  const auto options = at::TensorOptions().device(device).dtype(problem.dtype);
  std::vector<std::int64_t> output_shape = problem.index_shape;
  output_shape.push_back(problem.dim);
  return {at::randn({problem.num_rows, problem.dim}, options),
          make_index_batches(problem, kNumBatches, ratings, device),
          at::randn(output_shape, options)};
}

}  // namespace rowlane::bench
