// Dense gradient of the table on the CPU.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "csrc/cpu/gradient.h"
#include "csrc/cpu/indices.h"
#include "csrc/ops/embedding.h"

namespace rowlane::cpu {
namespace {

at::Tensor embedding_backward(const at::Tensor& grad_output, const at::Tensor& indices,
                              std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                              bool scale_grad_by_freq, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_backward";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, algorithm);
  check_algorithm_on_cpu(kOp, algorithm);
  return dense_gradient(
      kOp, grad_output, indices, num_embeddings,
      {.padding_row = padding_idx.value_or(-1), .scales_by_count = scale_grad_by_freq});
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding_backward", &embedding_backward); }

}  // namespace rowlane::cpu
