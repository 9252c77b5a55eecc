// A look-up whose gradient goes to an optimizer and not into the table's grad.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "csrc/ops/embedding.h"

namespace rowlane::autograd {

// Takes the gradient of a look-up, grad_output [*indices.shape, dim], in a backward pass.
using TakeGradient = std::function<void(const at::Tensor& grad_output, const at::Tensor& indices)>;

// ops::embedding, whose backward pass calls `take_gradient` and leaves the gradient of `weight`
// undefined. `weight` must require one and be a leaf. A backward pass that wants that gradient, or
// its derivative, throws.
at::Tensor fused_embedding(const at::Tensor& weight, const at::Tensor& indices,
                           const ops::LookUp& look_up, TakeGradient take_gradient);

}  // namespace rowlane::autograd
