// Look-up by device code: tensors to raw pointers, statuses to exceptions.
#include "csrc/ops/embedding.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include "csrc/device/convert.h"
#include "csrc/device/index_errors.h"
#include "csrc/device/stream.h"
#include "cuda/gather.h"

namespace rowlane::device {
namespace {

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& indices,
                     std::optional<std::int64_t> padding_idx, bool /*scale_grad_by_freq*/,
                     bool sparse, bool row_gradient, std::string_view algorithm) {
  constexpr const char* kOp = "rowlane::embedding";
  ops::check_embedding(weight, indices, sparse, row_gradient, algorithm);
  ops::check_rows(kOp, weight.size(0), padding_idx);
  const c10::DeviceGuard guard(weight.device());
  const IndexCheck check(kOp, weight.device());

  const std::int64_t dim = weight.size(1);
  const bool is_strided = weight.stride(1) != 1 && dim > 1;
  const at::Tensor index_list = indices.contiguous();
  at::Tensor out = at::empty(ops::output_sizes(indices, dim), weight.options());
  const auto elem_bytes = static_cast<std::int64_t>(weight.element_size());
  check_status(kOp, kernels::gather({.table = weight.const_data_ptr(),
                                     .num_rows = weight.size(0),
                                     .row_bytes = dim * elem_bytes,
                                     .table_stride_bytes = weight.stride(0) * elem_bytes,
                                     .elem_bytes = is_strided ? elem_bytes : 0,
                                     .elem_stride_bytes = weight.stride(1) * elem_bytes,
                                     .indices = index_list.const_data_ptr(),
                                     .index_type = index_type(index_list),
                                     .num_indices = index_list.numel(),
                                     .out = out.mutable_data_ptr(),
                                     .report = check.report()},
                                    current_stream(weight.device())));
  check.finish();
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, ROWLANE_DEVICE_KEY, m) { m.impl("embedding", &embedding); }

}  // namespace rowlane::device
