// The row gradient as an op on the CPU.
#include <torch/library.h>

#include "csrc/cpu/indices.h"
#include "csrc/cpu/row_gradient.h"
#include "csrc/ops/coo_gradient.h"
#include "csrc/ops/embedding.h"

namespace rowlane::cpu {
namespace {

at::Tensor embedding_row_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                                  std::int64_t num_embeddings,
                                  std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq,
                                  std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding_row_gradient";
  ops::check_backward(kOp, grad_output, indices, num_embeddings, padding_idx, algorithm);
  check_algorithm_on_cpu(kOp, algorithm);
  const auto [rows, sums] = row_gradient(kOp, grad_output, indices, num_embeddings,
                                         padding_idx.value_or(-1), scale_grad_by_freq);
  return ops::row_gradient_tensor(rows, sums, num_embeddings);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) { m.impl("embedding_row_gradient", &embedding_row_gradient); }

}  // namespace rowlane::cpu
