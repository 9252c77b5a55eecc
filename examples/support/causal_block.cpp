#include "causal_block.h"

#include <ATen/Functions.h>

#include <vector>

namespace rowlane::examples {

using torch::nn::LayerNorm;
using torch::nn::LayerNormOptions;
using torch::nn::Linear;

CausalBlockImpl::CausalBlockImpl(std::int64_t dim, std::int64_t num_heads) : num_heads_(num_heads) {
  norm1_ = register_module("norm1", LayerNorm(LayerNormOptions({dim})));
  norm2_ = register_module("norm2", LayerNorm(LayerNormOptions({dim})));
  qkv_ = register_module("qkv", Linear(dim, 3 * dim));
  mix_ = register_module("mix", Linear(dim, dim));
  up_ = register_module("up", Linear(dim, 4 * dim));
  down_ = register_module("down", Linear(4 * dim, dim));
}

at::Tensor CausalBlockImpl::attend(const at::Tensor& x) {
  const std::int64_t batch = x.size(0);
  const std::int64_t length = x.size(1);
  const std::int64_t dim = x.size(2);
  const std::vector<at::Tensor> parts = qkv_(x)
                                            .view({batch, length, 3, num_heads_, dim / num_heads_})
                                            .permute({2, 0, 3, 1, 4})
                                            .unbind(0);
  const at::Tensor seen = at::scaled_dot_product_attention(
      parts[0], parts[1], parts[2], /*attn_mask=*/{}, /*dropout_p=*/0, /*is_causal=*/true);
  return mix_(seen.transpose(1, 2).reshape({batch, length, dim}));
}

at::Tensor CausalBlockImpl::forward(const at::Tensor& x) {
  const at::Tensor attended = at::add(x, attend(norm1_(x)));
  return at::add(attended, down_(at::gelu(up_(norm2_(attended)))));
}

}  // namespace rowlane::examples
