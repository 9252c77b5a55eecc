// Sparse gradients as torch's COO tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace rowlane::ops {

// rows int64 [U] and values [U, D] as a tensor [num_embeddings, D] that shares their memory. The
// rows are known to be in range, and to be ascending and unique if is_coalesced.
at::Tensor coo_gradient(const at::Tensor& rows, const at::Tensor& values,
                        std::int64_t num_embeddings, bool is_coalesced);

// The entries of grad_output [*, D] and indices [*] in their order, without those of padding_idx:
// copies. An index out of range gives zeros for row 0, or nothing. On a GPU padding_idx costs a
// synchronisation with the host.
at::Tensor sparse_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                           std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx);

}  // namespace rowlane::ops
