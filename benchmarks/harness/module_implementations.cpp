#include "harness/module_implementations.h"

#include <ATen/ops/one_hot.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "rowlane/nn/embedding.h"

namespace rowlane::bench {

Implementation rowlane_module(const at::Tensor& table, BackwardAlgorithm algorithm) {
  auto module = nn::Embedding::from_pretrained(
      table.detach(), nn::EmbeddingFromPretrainedOptions().freeze(false).algorithm(algorithm));
  return {
      .name = "rowlane",
      .algorithm = std::string(to_string(algorithm)),
      .parameter = module->weight,
      .forward = [module](const at::Tensor& indices) mutable { return module->forward(indices); },
      .times_forward = algorithm == BackwardAlgorithm::kAuto,
      .accumulate_dtype = table.scalar_type() == at::kDouble ? at::kDouble : at::kFloat};
}

Implementation nn_embedding(const at::Tensor& table) {
  auto module = torch::nn::Embedding::from_pretrained(
      table.detach(), torch::nn::EmbeddingFromPretrainedOptions().freeze(false));
  return {
      .name = kBaseline,
      .algorithm = "default",
      .parameter = module->weight,
      .forward = [module](const at::Tensor& indices) mutable { return module->forward(indices); },
      .accumulate_dtype = table.scalar_type()};
}

Implementation one_hot_linear(const at::Tensor& table) {
  const std::int64_t num_rows = table.size(0);
  torch::nn::Linear module(torch::nn::LinearOptions(num_rows, table.size(1)).bias(false));
  module->weight.set_data(table.detach().t().contiguous());
  return {.name = "one_hot_linear",
          .algorithm = "default",
          .parameter = module->weight,
          .forward =
              [module, num_rows](const at::Tensor& indices) mutable {
                return module->forward(
                    at::one_hot(indices.to(at::kLong), num_rows).to(module->weight.scalar_type()));
              },
          .is_transposed = true,
          .is_product = true,
          .accumulate_dtype = table.scalar_type()};
}

}  // namespace rowlane::bench
