#include "tests/support/oracle.h"

#include <gtest/gtest.h>

#include <limits>

namespace rowlane::testing {
namespace {

double epsilon(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kDouble:
      return std::numeric_limits<double>::epsilon();
    case torch::kFloat:
      return std::numeric_limits<float>::epsilon();
    case torch::kHalf:
      return 0x1p-10;
    default:
      return 0x1p-7;
  }
}

torch::Tensor flat_rows(const torch::Tensor& grad_output) {
  return grad_output.detach().to(torch::kCPU, torch::kDouble).reshape({-1, grad_output.size(-1)});
}

}  // namespace

torch::Tensor oracle_backward(const torch::Tensor& grad_output, const torch::Tensor& indices,
                              std::int64_t num_rows, std::optional<std::int64_t> padding_idx) {
  const std::int64_t dim = grad_output.size(-1);
  const auto grad_table = torch::zeros({num_rows, dim}, torch::kDouble);
  if (grad_output.numel() > 0) {
    grad_table.index_add_(0, indices.to(torch::kCPU, torch::kLong).reshape(-1),
                          flat_rows(grad_output));
  }
  if (padding_idx) {
    grad_table[*padding_idx].zero_();
  }
  return grad_table;
}

torch::Tensor integers(torch::IntArrayRef sizes, torch::ScalarType dtype, std::int64_t low,
                       std::int64_t high) {
  return torch::randint(low, high + 1, sizes, torch::kLong).to(dtype);
}

::testing::AssertionResult bit_equal(const torch::Tensor& actual, const torch::Tensor& expected) {
  if (actual.sizes() != expected.sizes() || actual.scalar_type() != expected.scalar_type()) {
    return ::testing::AssertionFailure()
           << "got " << actual.sizes() << " " << actual.scalar_type() << ", expected "
           << expected.sizes() << " " << expected.scalar_type();
  }
  const auto on_cpu = actual.detach().cpu();
  if (on_cpu.equal(expected.detach().cpu())) {
    return ::testing::AssertionSuccess();
  }
  const auto difference =
      (on_cpu.to(torch::kDouble) - expected.detach().cpu().to(torch::kDouble)).abs();
  return ::testing::AssertionFailure()
         << (difference != 0).sum().item<std::int64_t>() << " of " << actual.numel()
         << " elements differ, by up to " << difference.max().item<double>();
}

::testing::AssertionResult within_rounding(const torch::Tensor& actual,
                                           const torch::Tensor& grad_output,
                                           const torch::Tensor& indices) {
  const std::int64_t num_rows = actual.size(0);
  const auto exact = oracle_backward(grad_output, indices, num_rows);
  const auto magnitude = oracle_backward(grad_output.abs(), indices, num_rows);
  const auto counts =
      torch::bincount(indices.to(torch::kCPU, torch::kLong).reshape(-1), {}, num_rows)
          .to(torch::kDouble)
          .unsqueeze(1);
  const auto dtype = actual.scalar_type();
  const double eps_accum = epsilon(dtype == torch::kDouble ? torch::kDouble : torch::kFloat);
  // The oracle adds in double too, so for double both may be off.
  const auto bound = 2 * counts * eps_accum * magnitude + epsilon(dtype) * exact.abs();
  const auto error = (actual.detach().cpu().to(torch::kDouble) - exact).abs();
  const auto bad = error > bound;
  if (!bad.any().item<bool>()) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << bad.sum().item<std::int64_t>() << " elements are off by more than rounding, up to "
         << (error - bound).max().item<double>() << " beyond the bound";
}

}  // namespace rowlane::testing
