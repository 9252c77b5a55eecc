// torch.func.vmap: how the ops run on tensors that have one more dim than they show, the batch.
#include "csrc/ops/embedding.h"

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <ATen/functorch/PlumbingHelper.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <torch/library.h>

namespace rowlane {
namespace {

using at::functorch::makeBatched;
using ops::LookUp;

// A tensor with its batch as dim 0, or a tensor that is the same for all of the batch.
struct Operand {
  at::Tensor value;
  bool is_batched = false;

  Operand(const at::Tensor& tensor, std::int64_t level) {
    auto [physical, dim] = at::functorch::unwrapTensorAtLevel(tensor, level);
    is_batched = dim.has_value();
    value = is_batched ? physical.movedim(*dim, 0) : std::move(physical);
  }
  [[nodiscard]] at::Tensor of(std::int64_t i) const { return is_batched ? value[i] : value; }
  // With a batch dim in any case.
  [[nodiscard]] at::Tensor expanded(const c10::SymInt& batch) const {
    if (is_batched) {
      return value;
    }
    c10::SymDimVector sizes{batch};
    sizes.append(value.sym_sizes().begin(), value.sym_sizes().end());
    return value.unsqueeze(0).expand_symint(sizes);
  }
};

// Calls f(level) below the vmap of that level.
template <typename F>
auto below_vmap(F&& f) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::FuncTorchBatched);
  const auto layer = at::functorch::maybeCurrentDynamicLayer();
  TORCH_CHECK(layer.has_value(), "rowlane: a tensor of torch.func.vmap has escaped from it");
  return f(layer->layerId());
}

// indices [B, *] of tables of num_rows rows each, as rows of these tables laid end to end. What is
// out of range of its own table is out of range of all of them.
at::Tensor as_rows_of_all(const at::Tensor& indices, const c10::SymInt& num_rows) {
  const c10::SymInt batch = indices.sym_size(0);
  const at::Tensor wide = indices.to(at::kLong);
  c10::SymDimVector sizes(static_cast<std::size_t>(wide.dim()), 1);
  sizes[0] = batch;
  const at::Tensor offsets =
      at::arange(c10::Scalar(batch), wide.options()).mul(c10::Scalar(num_rows)).view_symint(sizes);
  const at::Tensor is_bad = wide.lt(0).logical_or(wide.ge(c10::Scalar(num_rows)));
  return wide.add(offsets).masked_fill(is_bad, -1);
}

at::Tensor embedding_vmap(const at::Tensor& weight, const at::Tensor& indices,
                          std::optional<c10::SymInt> padding_idx, bool scale_grad_by_freq,
                          bool sparse, bool row_gradient, std::string_view algorithm) {
  return below_vmap([&](std::int64_t level) {
    LookUp look_up{.padding_idx = padding_idx,
                   .scale_grad_by_freq = scale_grad_by_freq,
                   .sparse = sparse,
                   .row_gradient = row_gradient,
                   .algorithm = std::string(algorithm)};
    const Operand table(weight, level);
    const Operand index(indices, level);
    if (!index.is_batched && !table.is_batched) {
      return ops::embedding(table.value, index.value, look_up);
    }
    // Frequencies are counted in each element of the batch by itself.
    if (!table.is_batched && !scale_grad_by_freq) {
      return makeBatched(ops::embedding(table.value, index.value, look_up), 0, level);
    }
    // The gradient of a batch of tables goes on through views, which only dense ones can.
    look_up.sparse = false;
    look_up.row_gradient = false;
    if (!index.is_batched) {
      // One look-up of rows as long as the batch's together.
      const c10::SymInt batch = table.value.sym_size(0);
      const at::Tensor rows =
          ops::embedding(table.value.transpose(0, 1).flatten(1, 2), index.value, look_up);
      return makeBatched(rows.unflatten_symint(-1, {batch, table.value.sym_size(2)}),
                         index.value.dim(), level);
    }
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < index.value.size(0); ++i) {
      rows.push_back(ops::embedding(table.of(i), index.of(i), look_up));
    }
    return makeBatched(at::stack(rows), 0, level);
  });
}

at::Tensor embedding_backward_vmap(const at::Tensor& grad_output, const at::Tensor& indices,
                                   c10::SymInt num_embeddings,
                                   std::optional<c10::SymInt> padding_idx, bool scale_grad_by_freq,
                                   std::string_view algorithm) {
  return below_vmap([&](std::int64_t level) {
    const LookUp look_up{.padding_idx = padding_idx,
                         .scale_grad_by_freq = scale_grad_by_freq,
                         .algorithm = std::string(algorithm)};
    const Operand grad(grad_output, level);
    const Operand index(indices, level);
    if (!grad.is_batched && !index.is_batched) {
      return ops::embedding_backward(grad.value, index.value, num_embeddings, look_up);
    }
    if (!index.is_batched) {
      const c10::SymInt batch = grad.value.sym_size(0);
      const at::Tensor wide = grad.value.movedim(0, -2).flatten(-2);
      const at::Tensor table = ops::embedding_backward(wide, index.value, num_embeddings, look_up);
      return makeBatched(table.unflatten_symint(1, {batch, grad.value.sym_size(-1)}), 1, level);
    }
    const c10::SymInt batch = index.value.sym_size(0);
    at::Tensor rows = as_rows_of_all(index.value, num_embeddings);
    if (padding_idx) {
      // All padding goes to the first table's padding row.
      const c10::Scalar row(*padding_idx);
      rows = rows.masked_fill(index.value.eq(row), row);
    }
    const at::Tensor tables =
        ops::embedding_backward(grad.expanded(batch), rows, batch * num_embeddings, look_up);
    return makeBatched(tables.unflatten_symint(0, {batch, num_embeddings}), 0, level);
  });
}

void embedding_renorm_vmap(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                           double norm_type) {
  below_vmap([&](std::int64_t level) {
    const Operand table(weight, level);
    const Operand index(indices, level);
    if (!table.is_batched) {
      ops::embedding_renorm(table.value, index.value, max_norm, norm_type);
      return;
    }
    for (std::int64_t i = 0; i < table.value.size(0); ++i) {
      ops::embedding_renorm(table.of(i), index.of(i), max_norm, norm_type);
    }
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, FuncTorchBatched, m) {
  m.impl("embedding", &embedding_vmap);
  m.impl("embedding_backward", &embedding_backward_vmap);
  m.impl("embedding_renorm_", &embedding_renorm_vmap);
}

}  // namespace rowlane
