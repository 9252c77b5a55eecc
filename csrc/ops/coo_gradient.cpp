#include "csrc/ops/coo_gradient.h"

#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/empty.h>

namespace rowlane::ops {
namespace {

at::Tensor coo_tensor(const at::Tensor& rows, const at::Tensor& values, std::int64_t num_rows,
                      std::optional<bool> is_coalesced = std::nullopt) {
  return at::_sparse_coo_tensor_unsafe(rows.unsqueeze(0), values, {num_rows, values.size(1)},
                                       values.options().layout(at::kSparse), is_coalesced);
}

}  // namespace

at::Tensor row_gradient_tensor(const at::Tensor& rows, const at::Tensor& values,
                               std::int64_t num_embeddings) {
  return coo_tensor(rows, values, num_embeddings, /*is_coalesced=*/true);
}

at::Tensor sparse_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                           std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx) {
  const std::int64_t dim = grad_output.size(-1);
  at::Tensor rows = indices.reshape(-1).to(at::kLong, /*non_blocking=*/false, /*copy=*/true);
  at::Tensor dropped = rows.lt(0).logical_or_(rows.ge(num_embeddings));
  if (padding_idx || num_embeddings == 0) {
    const at::Tensor kept =
        dropped.logical_or_(rows.eq(padding_idx.value_or(-1))).logical_not_().nonzero().view(-1);
    return coo_tensor(rows.index_select(0, kept),
                      grad_output.reshape({rows.numel(), dim}).index_select(0, kept),
                      num_embeddings);
  }
  // Entries that can't be removed without knowing their number are made harmless.
  at::Tensor values = at::empty({rows.numel(), dim}, grad_output.options());
  values.view(grad_output.sizes()).copy_(grad_output);
  values.masked_fill_(dropped.unsqueeze(1), 0);
  rows.masked_fill_(dropped, 0);
  return coo_tensor(rows, values, num_embeddings);
}

}  // namespace rowlane::ops
