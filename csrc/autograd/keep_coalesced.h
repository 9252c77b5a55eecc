// A row gradient that stays known as coalesced on its way into a parameter.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/edge.h>

namespace rowlane::autograd {

// torch's AccumulateGrad makes a tensor of its own from the indices and values of a sparse gradient
// that it is the first to get, and forgets that they are coalesced: every optimizer would sort them
// again. If `edge` leads into a parameter, and its gradient is made of just these indices and
// values when the backward pass ends, or on the CPU of any rows that ascend, as those of several
// row gradients added up, it is marked as coalesced then. To be called in a backward pass, with a
// coalesced `grad`.
void keep_coalesced(const torch::autograd::Edge& edge, const at::Tensor& grad);

}  // namespace rowlane::autograd
