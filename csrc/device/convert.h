// From torch's words to those of the device code.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "cuda/simt/status.h"
#include "cuda/types.h"

namespace rowlane::device {

// Throws c10::Error if `status` is one; `op` begins the message.
void check_status(std::string_view op, const kernels::Status& status);

// The dtypes have been checked.
kernels::IndexType index_type(const at::Tensor& indices);
kernels::ElemType elem_type(const at::Tensor& tensor);

std::uint64_t address_bits(const at::Tensor& tensor);

// Uninitialised, on the device of `like`.
at::Tensor make_workspace(std::int64_t bytes, const at::Tensor& like);

}  // namespace rowlane::device
