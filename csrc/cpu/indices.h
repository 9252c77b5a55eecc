// Index lists on the CPU: their type, and the check that comes before anything is written.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace rowlane::cpu {

// Calls f<int32_t>() or f<int64_t>(); the dtype has been checked.
template <typename F>
void dispatch_index(const at::Tensor& indices, F&& f) {
  if (indices.scalar_type() == at::kInt) {
    f.template operator()<std::int32_t>();
  } else {
    TORCH_INTERNAL_ASSERT(indices.scalar_type() == at::kLong, "no indices of ",
                          indices.scalar_type());
    f.template operator()<std::int64_t>();
  }
}

// Throws c10::IndexError that names the first index outside of [0, num_rows), where it is, and
// num_rows. indices is contiguous. `op` begins the message.
template <typename IndexT>
void check_indices(std::string_view op, const at::Tensor& indices, std::int64_t num_rows);

extern template void check_indices<std::int32_t>(std::string_view, const at::Tensor&, std::int64_t);
extern template void check_indices<std::int64_t>(std::string_view, const at::Tensor&, std::int64_t);

// Throws c10::ValueError, which begins with `op`, unless the algorithm is 'auto' or 'sorted': the
// CPU has no other.
void check_algorithm_on_cpu(std::string_view op, std::string_view algorithm);

}  // namespace rowlane::cpu
