// Sparse gradients as torch's COO tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace rowlane::ops {

// rows int64 [U], in range, ascending and unique, and values [U, D] as a coalesced tensor
// [num_embeddings, D] that shares their memory.
at::Tensor row_gradient_tensor(const at::Tensor& rows, const at::Tensor& values,
                               std::int64_t num_embeddings);

// The entries of grad_output [*, D] and indices [*] in their order, without those of padding_idx:
// copies, expanded as grad_output is where the indices are known to be in range. Elsewhere an index
// out of range gives zeros for row 0, or nothing. On a GPU padding_idx costs a synchronisation with
// the host.
at::Tensor sparse_gradient(const at::Tensor& grad_output, const at::Tensor& indices,
                           std::int64_t num_embeddings, std::optional<std::int64_t> padding_idx,
                           bool are_in_range);

}  // namespace rowlane::ops
