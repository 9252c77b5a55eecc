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

// What is the same all along `axis` in memory, as in the gradient of a sum, once.
at::Tensor stored_once(const at::Tensor& tensor, std::int64_t axis) {
  return tensor.stride(axis) == 0 && tensor.size(axis) > 1 ? tensor.narrow(axis, 0, 1) : tensor;
}

}  // namespace

at::Tensor row_gradient_tensor(const at::Tensor& rows, const at::Tensor& values,
                               std::int64_t num_embeddings) {
  return coo_tensor(rows, values, num_embeddings, /*is_coalesced=*/true);
}

at::Tensor sparse_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                           std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                           bool are_in_range) {
  const std::int64_t dim = grad_output.size(-1);
  at::Tensor rows = indices.reshape(-1).to(at::kLong, /*non_blocking=*/false, /*copy=*/true);
  const auto dropped = [&] { return rows.lt(0).logical_or_(rows.ge(num_embeddings)); };
  if (padding_idx || num_embeddings == 0) {
    const at::Tensor kept =
        dropped().logical_or_(rows.eq(padding_idx.value_or(-1))).logical_not_().nonzero().view(-1);
    return coo_tensor(rows.index_select(0, kept),
                      grad_output.reshape({rows.numel(), dim}).index_select(0, kept),
                      num_embeddings);
  }
  at::Tensor values = grad_output.reshape({rows.numel(), dim});
  // A single entry is coalesced as it is: whoever scales its values in place must be able to.
  if (rows.numel() > 1) {
    values = stored_once(are_in_range ? stored_once(values, 0) : values, 1);
  }
  values = values.clone(at::MemoryFormat::Contiguous);
  if (!are_in_range) {
    // Entries that can't be removed without knowing their number are made harmless.
    const at::Tensor is_dropped = dropped();
    values.masked_fill_(is_dropped.unsqueeze(1), 0);
    rows.masked_fill_(is_dropped, 0);
  }
  return coo_tensor(rows, values.expand({rows.numel(), dim}), num_embeddings);
}

}  // namespace rowlane::ops
