#include "harness/implementation.h"

#include <ATen/TensorIndexing.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/one_hot.h>

#include <stdexcept>

#include "harness/module_implementations.h"

namespace rowlane::bench {
namespace {

at::Tensor leaf_on(const at::Tensor& table) { return table.detach().requires_grad_(); }

Implementation parameter_index(const at::Tensor& table) {
  const at::Tensor parameter = leaf_on(table);
  return {.name = "parameter_index",
          .algorithm = "default",
          .parameter = parameter,
          .forward = [parameter](const at::Tensor& indices) { return parameter.index({indices}); },
          .accumulate_dtype = table.scalar_type()};
}

Implementation one_hot_matmul(const at::Tensor& table) {
  const at::Tensor parameter = leaf_on(table);
  return {
      .name = "one_hot_matmul",
      .algorithm = "default",
      .parameter = parameter,
      .forward =
          [parameter](const at::Tensor& indices) {
            return at::matmul(
                at::one_hot(indices.to(at::kLong), parameter.size(0)).to(parameter.scalar_type()),
                parameter);
          },
      .is_product = true,
      .accumulate_dtype = table.scalar_type()};
}

bool has_atomic(const at::Tensor& table) {
  return table.is_cuda() &&
         (table.scalar_type() == at::kFloat || table.scalar_type() == at::kDouble);
}

}  // namespace

at::Tensor Implementation::table_gradient() const {
  const at::Tensor& gradient = parameter.grad();
  return is_transposed ? gradient.t() : gradient;
}

void Implementation::clear_gradient() { parameter.mutable_grad().reset(); }

std::string display_name(const std::string& name, const std::string& algorithm) {
  if (name == kBaseline) {
    return "nn.Embedding";
  }
  if (name == "parameter_index") {
    return "p.index({i})";
  }
  if (name == "one_hot_matmul") {
    return "one-hot matmul";
  }
  if (name == "one_hot_linear") {
    return "one-hot nn.Linear";
  }
  return name + " " + algorithm;
}

std::vector<Implementation> make_lookups(const at::Tensor& table) {
  std::vector<Implementation> implementations;
  implementations.push_back(nn_embedding(table));
  implementations.push_back(rowlane_module(table, BackwardAlgorithm::kAuto));
  implementations.push_back(rowlane_module(table, BackwardAlgorithm::kSorted));
  if (has_atomic(table)) {
    implementations.push_back(rowlane_module(table, BackwardAlgorithm::kAtomic));
  }
  implementations.push_back(parameter_index(table));
  return implementations;
}

const std::vector<std::string>& one_hot_names() {
  static const std::vector<std::string> names = {"one_hot_matmul", "one_hot_linear"};
  return names;
}

Implementation make_one_hot(const std::string& name, const at::Tensor& table) {
  return name == "one_hot_linear" ? one_hot_linear(table) : one_hot_matmul(table);
}

}  // namespace rowlane::bench
