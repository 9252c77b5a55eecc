// Element types that arithmetic is done on.
#pragma once

#include <ATen/core/Tensor.h>

#include <type_traits>

namespace rowlane::cpu {

// The type that sums are accumulated in.
template <typename ElemT>
using Accum = std::conditional_t<std::is_same_v<ElemT, double>, double, float>;

// Calls f<ElemT>(); the dtype has been checked.
template <typename F>
void dispatch_elem(at::ScalarType type, F&& f) {
  switch (type) {
    case at::kFloat:
      f.template operator()<float>();
      return;
    case at::kDouble:
      f.template operator()<double>();
      return;
    case at::kHalf:
      f.template operator()<at::Half>();
      return;
    case at::kBFloat16:
      f.template operator()<at::BFloat16>();
      return;
    default:
      TORCH_INTERNAL_ASSERT(false, "no arithmetic on ", type);
  }
}

}  // namespace rowlane::cpu
