#include "lookup_ways.h"

#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include "benchmarks/harness/timing.h"
#include "rowlane/nn/embedding.h"

namespace rowlane::examples {

at::Tensor LookupWay::gradient() const {
  const at::Tensor grad = parameter.grad().to_dense();
  return is_transposed ? grad.t() : grad;
}

at::Tensor one_hot_floats(const at::Tensor& indices, std::int64_t num_rows) {
  return at::one_hot(indices, num_rows).to(at::kFloat);
}

std::vector<LookupWay> all_lookup_ways(const at::Tensor& table) {
  const std::int64_t num_rows = table.size(0);
  const auto new_embedding = [&](bool row_gradient) {
    return nn::Embedding::from_pretrained(
        table.clone(),
        nn::EmbeddingFromPretrainedOptions().freeze(false).row_gradient(row_gradient));
  };
  auto rowlane = new_embedding(false);
  auto rowlane_rows = new_embedding(true);
  auto stock = torch::nn::Embedding::from_pretrained(
      table.clone(), torch::nn::EmbeddingFromPretrainedOptions().freeze(false));
  const at::Tensor indexed = table.clone().requires_grad_();
  const at::Tensor multiplied = table.clone().requires_grad_();
  torch::nn::Linear linear(torch::nn::LinearOptions(num_rows, table.size(1)).bias(false));
  linear->weight.set_data(table.t().contiguous());
  return {
      {"rowlane::nn::Embedding", rowlane->weight,
       [=](const auto& i) mutable { return rowlane(i); }},
      {"  with row_gradient", rowlane_rows->weight,
       [=](const auto& i) mutable { return rowlane_rows(i); }},
      {"torch::nn::Embedding", stock->weight, [=](const auto& i) mutable { return stock(i); }},
      {"table.index({i})", indexed, [=](const auto& i) { return indexed.index({i}); }},
      {"one_hot(i).matmul(table)", multiplied,
       [=](const auto& i) { return one_hot_floats(i, num_rows).matmul(multiplied); }, true},
      {"nn::Linear on one_hot(i)", linear->weight,
       [=](const auto& i) mutable { return linear(one_hot_floats(i, num_rows)); }, true, true},
  };
}

std::vector<LookupTimes> time_lookup_ways(const std::vector<LookupWay>& ways,
                                          const at::Tensor& indices, const at::Tensor& output_grad,
                                          double seconds) {
  std::vector<bench::TimedCall> calls;
  std::vector<at::Tensor> outputs(ways.size());
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const auto forward = [&, i](int /*call*/) { outputs[i] = ways[i].look_up(indices); };
    const auto forget = [&, i] {
      outputs[i].reset();
      ways[i].parameter.mutable_grad().reset();
    };
    calls.push_back({[](int /*call*/) {}, forward, forget});
    calls.push_back({forward, [&, i](int /*call*/) { outputs[i].backward(output_grad); }, forget});
  }
  const auto timings = bench::time_interleaved(
      calls, {.budget_s = seconds, .min_samples = 3, .warm_up_ms = 5}, at::kCPU);
  std::vector<LookupTimes> times;
  for (std::size_t i = 0; i < timings.size(); i += 2) {
    times.push_back({timings[i].median_ms, timings[i + 1].median_ms});
  }
  return times;
}

}  // namespace rowlane::examples
