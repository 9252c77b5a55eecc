// A layer of a transformer in which each position sees itself and those before it.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace rowlane::examples {

// x + attention(norm(x)), then x + MLP(norm(x)), with GELU and four times as many hidden units.
// Source: Radford et al., "Language Models are Unsupervised Multitask Learners".
class CausalBlockImpl : public torch::nn::Module {
 public:
  // dim has to be a multiple of num_heads.
  CausalBlockImpl(std::int64_t dim, std::int64_t num_heads);

  // x [batch, length, dim]; returns the same shape.
  at::Tensor forward(const at::Tensor& x);

 private:
  at::Tensor attend(const at::Tensor& x);

  std::int64_t num_heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear qkv_{nullptr}, mix_{nullptr}, up_{nullptr}, down_{nullptr};
};
TORCH_MODULE(CausalBlock);

}  // namespace rowlane::examples
