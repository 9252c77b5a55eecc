// Plain SGD on the rows of a look-up.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/serialize/archive.h>

namespace rowlane::examples {

struct RowSgd {
  double learning_rate = 0;

  // table[indices] -= learning_rate * gradients, where an index that occurs several times gets the
  // sum of its gradients: the look-up's backward and SGD's step at once, by the op
  // rowlane::embedding_step_, without a gradient of the table in memory. Other rows aren't touched.
  //
  // table [V, D], indices [N], gradients [N, D]
  void step(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& gradients) const;

  // There is nothing to keep; for save_checkpoint() and load_checkpoint().
  void save(torch::serialize::OutputArchive& /*archive*/) const {}
  void load(torch::serialize::InputArchive& /*archive*/) {}
};

}  // namespace rowlane::examples
