// The ways to get the rows of a table that indices name: look-ups, and products with one-hot
// vectors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace rowlane::examples {

struct LookupWay {
  std::string name;
  at::Tensor parameter;  // the leaf that the gradient is for
  // indices [n], int64; returns [n, dim] with an autograd graph.
  std::function<at::Tensor(const at::Tensor& indices)> look_up;
  bool has_one_hot = false;
  bool is_transposed = false;  // the parameter is [dim, num_rows], as nn::Linear keeps it

  // Dense, [num_rows, dim], however the parameter and its gradient lie.
  at::Tensor gradient() const;
};

// All ways, each with a table of its own that equals `table` [num_rows, dim], float. Rowlane's
// look-up comes first, nn::Linear on one-hot vectors last.
std::vector<LookupWay> all_lookup_ways(const at::Tensor& table);

// Medians of a call.
struct LookupTimes {
  double forward_ms;
  double backward_ms;
};

// Times the ways side by side for about so many seconds.
std::vector<LookupTimes> time_lookup_ways(const std::vector<LookupWay>& ways,
                                          const at::Tensor& indices, const at::Tensor& output_grad,
                                          double seconds);

// [n, num_rows], a 1 in each row.
at::Tensor one_hot_floats(const at::Tensor& indices, std::int64_t num_rows);

}  // namespace rowlane::examples
