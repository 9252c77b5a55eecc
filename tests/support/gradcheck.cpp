#include "tests/support/gradcheck.h"

#include <torch/csrc/autograd/forward_grad.h>

namespace rowlane::testing {
namespace {

constexpr double kStep = 1e-6;
constexpr double kTolerance = 1e-5;

// [input.numel(), output.numel()]
torch::Tensor numerical_jacobian(const TensorFunction& function, const torch::Tensor& input) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> rows;
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    const auto step = torch::zeros_like(input);
    step.view(-1)[i] = kStep;
    rows.push_back(((function(input + step) - function(input - step)) / (2 * kStep)).reshape(-1));
  }
  return torch::stack(rows);
}

torch::Tensor reverse_jacobian(const TensorFunction& function, const torch::Tensor& input) {
  const auto leaf = input.detach().clone().requires_grad_();
  const auto output = function(leaf);
  std::vector<torch::Tensor> columns;
  for (std::int64_t i = 0; i < output.numel(); ++i) {
    const auto direction = torch::zeros_like(output);
    direction.view(-1)[i] = 1;
    columns.push_back(
        torch::autograd::grad({output}, {leaf}, {direction}, /*retain_graph=*/true)[0].reshape(-1));
  }
  return torch::stack(columns, 1);
}

torch::Tensor forward_jacobian(const TensorFunction& function, const torch::Tensor& input) {
  std::vector<torch::Tensor> rows;
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    const auto direction = torch::zeros_like(input);
    direction.view(-1)[i] = 1;
    const auto level = torch::autograd::ForwardADLevel::get_next_idx();
    {
      const auto dual =
          torch::_make_dual(input.detach().clone(), direction, static_cast<std::int64_t>(level));
      const auto output = function(dual);
      const auto& tangent = output._fw_grad(level);
      rows.push_back((tangent.defined() ? tangent : torch::zeros_like(output)).reshape(-1));
    }
    torch::autograd::ForwardADLevel::release_idx(level);
  }
  return torch::stack(rows);
}

::testing::AssertionResult close(const char* mode, const torch::Tensor& actual,
                                 const torch::Tensor& numerical) {
  const auto error = (actual - numerical).abs().max().item<double>();
  if (error <= kTolerance) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << mode << " mode differs from central differences by " << error;
}

}  // namespace

::testing::AssertionResult gradcheck_reverse(const TensorFunction& function,
                                             const torch::Tensor& input) {
  return close("reverse", reverse_jacobian(function, input), numerical_jacobian(function, input));
}

::testing::AssertionResult gradcheck(const TensorFunction& function, const torch::Tensor& input) {
  if (auto reverse = gradcheck_reverse(function, input); !reverse) {
    return reverse;
  }
  return close("forward", forward_jacobian(function, input), numerical_jacobian(function, input));
}

::testing::AssertionResult gradgradcheck(const TensorFunction& function,
                                         const torch::Tensor& input) {
  torch::Tensor direction;
  {
    const torch::NoGradGuard no_grad;
    direction = torch::randn_like(function(input));
  }
  const auto grad_of = [&function](const torch::Tensor& at, const torch::Tensor& incoming) {
    const torch::AutoGradMode with_grad(true);
    const auto point = at.requires_grad() ? at : at.detach().clone().requires_grad_();
    return torch::autograd::grad({function(point)}, {point}, {incoming}, /*retain_graph=*/true,
                                 /*create_graph=*/true)[0];
  };
  const auto in_direction = [&](const torch::Tensor& incoming) { return grad_of(input, incoming); };
  const auto numerical = numerical_jacobian(in_direction, direction);
  return close("second-order reverse", reverse_jacobian(in_direction, direction), numerical);
}

}  // namespace rowlane::testing
