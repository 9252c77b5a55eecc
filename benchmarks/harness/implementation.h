// The ways to look rows up that are compared.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "workloads/workload.h"

namespace rowlane::bench {

// What every ratio is taken against.
inline constexpr const char* kBaseline = "nn_embedding";

struct Implementation {
  // As in the JSON: rowlane, nn_embedding, parameter_index, one_hot_matmul, one_hot_linear.
  std::string name;
  // rowlane's backward algorithm; "default" for the peers.
  std::string algorithm;
  // The leaf that the gradient is computed for.
  at::Tensor parameter;
  // indices [*] -> [*, dim], with an autograd graph. Int64 or int32 as the problem says.
  std::function<at::Tensor(const at::Tensor& indices)> forward;
  // `parameter` is [dim, num_rows], as nn::Linear keeps it.
  bool is_transposed = false;
  // The output is a sum of products, not a copy of rows.
  bool is_product = false;
  // The algorithms of one implementation differ in the backward pass alone: the forward pass of the
  // others isn't timed again.
  bool times_forward = true;
  // In what a row's gradients are added up.
  at::ScalarType accumulate_dtype = at::kFloat;

  // The gradient as [num_rows, dim].
  [[nodiscard]] at::Tensor table_gradient() const;
  void clear_gradient();
};

// "rowlane auto", "nn.Embedding", "p.index({i})", "one-hot matmul", "one-hot nn.Linear".
std::string display_name(const std::string& name, const std::string& algorithm);

// Rowlane with each of its algorithms, nn::Embedding and parameter indexing, on one shared table
// [num_rows, dim].
std::vector<Implementation> make_lookups(const at::Tensor& table);

// Both one-hot products, by name: each makes its int64 one-hot matrix, converts it and multiplies.
const std::vector<std::string>& one_hot_names();
Implementation make_one_hot(const std::string& name, const at::Tensor& table);

}  // namespace rowlane::bench
