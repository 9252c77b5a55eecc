// max_norm by device code.
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include "csrc/device/convert.h"
#include "csrc/device/index_errors.h"
#include "csrc/device/stream.h"
#include "csrc/ops/embedding.h"
#include "cuda/renorm.h"

namespace rowlane::device {
namespace {

void embedding_renorm(const at::Tensor& weight, const at::Tensor& indices, double max_norm,
                      double norm_type) {
  constexpr const char* kOp = "rowlane::embedding_renorm_";
  ops::check_renorm(kOp, weight, indices, max_norm, norm_type);
  const c10::DeviceGuard guard(weight.device());
  const IndexCheck check(kOp, weight.device());
  const at::Tensor index_list = indices.contiguous();
  std::int64_t workspace_bytes = 0;
  check_status(
      kOp, kernels::renorm_workspace_bytes(weight.size(0), index_list.numel(), &workspace_bytes));
  const at::Tensor workspace = make_workspace(workspace_bytes, weight);
  check_status(kOp, kernels::renorm({.table = weight.mutable_data_ptr(),
                                     .num_rows = weight.size(0),
                                     .dim = weight.size(1),
                                     .row_stride = weight.stride(0),
                                     .column_stride = weight.size(1) > 1 ? weight.stride(1) : 1,
                                     .elem_type = elem_type(weight),
                                     .indices = index_list.const_data_ptr(),
                                     .index_type = index_type(index_list),
                                     .num_indices = index_list.numel(),
                                     .max_norm = max_norm,
                                     .norm_type = norm_type,
                                     .workspace = workspace.mutable_data_ptr(),
                                     .report = check.report()},
                                    current_stream(weight.device())));
  check.finish();
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, ROWLANE_DEVICE_KEY, m) {
  m.impl("embedding_renorm_", &embedding_renorm);
}

}  // namespace rowlane::device
