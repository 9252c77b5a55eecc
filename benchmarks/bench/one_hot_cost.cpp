#include "bench/one_hot_cost.h"

#include <algorithm>

#include "harness/format.h"
#include "harness/implementation.h"
#include "harness/memory_probe.h"
#include "harness/timing.h"

namespace rowlane::bench {
namespace {

// Products with fewer multiplications take some milliseconds.
constexpr double kSmallProduct = 1e8;
// The pilots take a 1024th and a 256th of the indices, or this many if that is too few to be timed.
constexpr std::int64_t kFewIndices = 4;
constexpr std::int64_t kMoreIndices = 16;
// One pilot is enough when the limit is passed even if only this share of its time is proportional.
constexpr double kLeastShare = 1.0 / 40;
// The rest stays for what else is running.
constexpr double kUsableMemory = 0.85;

// Seconds of a forward and backward pass over the first `num_indices` indices.
double pilot_s(Implementation& implementation, const at::Tensor& indices,
               const at::Tensor& output_grad, std::int64_t num_indices) {
  const at::Tensor few_indices = indices.flatten().narrow(0, 0, num_indices);
  const at::Tensor few_grads =
      output_grad.view({-1, output_grad.size(-1)}).narrow(0, 0, num_indices);
  const double ms = time_once_ms([&] { implementation.forward(few_indices).backward(few_grads); },
                                 indices.device());
  implementation.clear_gradient();
  return ms / 1e3;
}

struct Prediction {
  double seconds = 0.0;
  const char* precision = "";
  std::string pilots;
};

// The time of a product is a constant, for reading the table and writing its gradient, and a part
// that is proportional to the number of indices.
Prediction predict(Implementation implementation, const at::Tensor& indices,
                   const at::Tensor& output_grad, double limit_s) {
  const std::int64_t num_indices = indices.numel();
  const std::int64_t few = std::max(kFewIndices, num_indices / 1024);
  const std::int64_t more = std::max(kMoreIndices, num_indices / 256);
  pilot_s(implementation, indices, output_grad, few);
  const double few_s = pilot_s(implementation, indices, output_grad, few);
  const double in_proportion_s =
      few_s * static_cast<double>(num_indices) / static_cast<double>(few);
  if (kLeastShare * in_proportion_s > limit_s) {
    return {in_proportion_s, "up to", "a pilot of " + std::to_string(few)};
  }
  const double more_s = pilot_s(implementation, indices, output_grad, more);
  const double per_index_s = std::max(0.0, more_s - few_s) / static_cast<double>(more - few);
  return {more_s + per_index_s * static_cast<double>(num_indices - more), "about",
          "pilots of " + std::to_string(few) + " and " + std::to_string(more)};
}

}  // namespace

std::int64_t one_hot_bytes(const Problem& problem) {
  constexpr std::int64_t kInt64Bytes = 8;
  const std::int64_t cells = problem.num_indices() * problem.num_rows;
  const std::int64_t converting = cells * (kInt64Bytes + problem.elem_bytes());
  const std::int64_t multiplying = (cells + problem.num_elems()) * problem.elem_bytes();
  return std::max(converting, multiplying);
}

OneHotVerdict judge_one_hot(const std::string& name, const Problem& problem,
                            const at::Tensor& table, const at::Tensor& indices,
                            const at::Tensor& output_grad, double limit_s) {
  const std::optional<std::int64_t> available = available_bytes(table.device());
  const std::int64_t needed = one_hot_bytes(problem);
  if (available && static_cast<double>(needed) > kUsableMemory * static_cast<double>(*available)) {
    return {"needs " + format_bytes(needed) + ", " + format_bytes(*available) + " free"};
  }
  const double multiplications = static_cast<double>(problem.num_indices()) *
                                 static_cast<double>(problem.num_rows) *
                                 static_cast<double>(problem.dim);
  if (multiplications < kSmallProduct || problem.num_indices() <= kMoreIndices) {
    return {};
  }
  const Prediction prediction = predict(make_one_hot(name, table), indices, output_grad, limit_s);
  if (prediction.seconds > limit_s) {
    return {std::string("would take ") + prediction.precision + " " +
                format_ms(1e3 * prediction.seconds) + " (by " + prediction.pilots +
                " indices), limit " + format_ms(1e3 * limit_s),
            prediction.seconds};
  }
  return {"", prediction.seconds};
}

}  // namespace rowlane::bench
