// From run-time types and widths to template arguments.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/simt/runtime.cuh"
#include "cuda/types.h"

namespace rowlane::kernels {

// Calls f<ElemT>() for the element type; f returns Status.
template <typename F>
Status dispatch_elem(ElemType type, F&& f) {
  switch (type) {
    case ElemType::kFloat32:
      return f.template operator()<float>();
    case ElemType::kFloat64:
      return f.template operator()<double>();
    case ElemType::kFloat16:
      return f.template operator()<simt::half>();
    case ElemType::kBFloat16:
      return f.template operator()<simt::bfloat16>();
  }
  return Status::error("unknown element type");
}

// Calls f<IndexT>() for the index type; f returns Status.
template <typename F>
Status dispatch_index(IndexType type, F&& f) {
  switch (type) {
    case IndexType::kInt32:
      return f.template operator()<std::int32_t>();
    case IndexType::kInt64:
      return f.template operator()<std::int64_t>();
  }
  return Status::error("unknown index type");
}

// Calls f<kVecBytes>() for an access width from access_bytes(), for the widths from kMinBytes to
// kMaxBytes.
template <int kMinBytes = 1, int kMaxBytes = 16, typename F>
Status dispatch_vec_bytes(int vec_bytes, F&& f) {
  if constexpr (kMaxBytes > kMinBytes) {
    if (vec_bytes != kMaxBytes) {
      return dispatch_vec_bytes<kMinBytes, kMaxBytes / 2>(vec_bytes, f);
    }
  }
  return vec_bytes == kMaxBytes ? f.template operator()<kMaxBytes>()
                                : Status::error("rows are not aligned to their element type");
}

inline std::uint64_t address(const void* p) { return std::bit_cast<std::uintptr_t>(p); }

}  // namespace rowlane::kernels
