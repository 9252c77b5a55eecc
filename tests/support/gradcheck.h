// Numerical checks of derivatives in double precision, as torch.autograd.gradcheck does them in
// Python.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

namespace rowlane::testing {

using TensorFunction = std::function<torch::Tensor(const torch::Tensor&)>;

// Compares the Jacobian of `function` at `input` (double) by central differences with the one by
// reverse mode, and with the one by forward mode.
::testing::AssertionResult gradcheck(const TensorFunction& function, const torch::Tensor& input);

// The same in reverse mode only, for what has no tangents.
::testing::AssertionResult gradcheck_reverse(const TensorFunction& function,
                                             const torch::Tensor& input);

// gradcheck of grad(function) as a function of the incoming gradient and of `input`.
::testing::AssertionResult gradgradcheck(const TensorFunction& function,
                                         const torch::Tensor& input);

}  // namespace rowlane::testing
