// Look-ups in a table that an optimizer knows.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "csrc/optim/row_table.h"
#include "rowlane/embedding.h"

namespace rowlane::optim::detail {

// rowlane::embedding of rows that are brought up to date first. Fused, the backward pass takes the
// table's step: see nn::EmbeddingImpl::fuse, also for what throws.
at::Tensor look_up(const std::shared_ptr<RowTable>& table, const at::Tensor& indices,
                   const EmbeddingFuncOptions& options, bool is_fused);

// Throws if no look-up with these options can be fused.
void check_fuse(const RowTable& table, const EmbeddingFuncOptions& options);

}  // namespace rowlane::optim::detail
