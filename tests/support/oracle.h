// References in double precision, and the error that a correct result may have.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <optional>

namespace rowlane::testing {

// The gradient of the table in double, by adding row after row: [num_rows, dim] on the CPU.
torch::Tensor oracle_backward(const torch::Tensor& grad_output, const torch::Tensor& indices,
                              std::int64_t num_rows,
                              std::optional<std::int64_t> padding_idx = std::nullopt);

// Integers in [low, high] as `dtype`: their sums are exact, so results can be compared bit for bit.
torch::Tensor integers(torch::IntArrayRef sizes, torch::ScalarType dtype, std::int64_t low = -4,
                       std::int64_t high = 4);

// Both tensors have the same shape, dtype and bits, but for the sign of zero.
::testing::AssertionResult bit_equal(const torch::Tensor& actual, const torch::Tensor& expected);

// |actual - exact| is within what n additions in the accumulation type and one rounding to actual's
// dtype can cause, n being how often each row is named: n * eps_accum * sum|g| + eps_dtype *
// |exact|.
::testing::AssertionResult within_rounding(const torch::Tensor& actual,
                                           const torch::Tensor& grad_output,
                                           const torch::Tensor& indices);

}  // namespace rowlane::testing
