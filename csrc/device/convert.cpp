#include "csrc/device/convert.h"

#include <ATen/ops/empty.h>

#include <bit>

namespace rowlane::device {

void check_status(std::string_view op, const kernels::Status& status) {
  TORCH_CHECK(status.ok(), op, ": ", status.message());
}

kernels::IndexType index_type(const at::Tensor& indices) {
  switch (indices.scalar_type()) {
    case at::kInt:
      return kernels::IndexType::kInt32;
    case at::kLong:
      return kernels::IndexType::kInt64;
    default:
      TORCH_INTERNAL_ASSERT(false, "no indices of ", indices.scalar_type());
  }
}

kernels::ElemType elem_type(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return kernels::ElemType::kFloat32;
    case at::kDouble:
      return kernels::ElemType::kFloat64;
    case at::kHalf:
      return kernels::ElemType::kFloat16;
    case at::kBFloat16:
      return kernels::ElemType::kBFloat16;
    default:
      TORCH_INTERNAL_ASSERT(false, "no arithmetic on ", tensor.scalar_type());
  }
}

std::uint64_t address_bits(const at::Tensor& tensor) {
  return std::bit_cast<std::uintptr_t>(tensor.const_data_ptr());
}

at::Tensor make_workspace(std::int64_t bytes, const at::Tensor& like) {
  return at::empty({bytes}, like.options().dtype(at::kByte));
}

}  // namespace rowlane::device
