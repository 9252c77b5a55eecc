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

// Calls f<kVecBytes>() for an access width from access_bytes(), for the widths from kMinBytes up.
template <int kMinBytes = 1, typename F>
Status dispatch_vec_bytes(int vec_bytes, F&& f) {
  switch (vec_bytes) {
    case 16:
      return f.template operator()<16>();
    case 8:
      if constexpr (kMinBytes <= 8) {
        return f.template operator()<8>();
      }
      break;
    case 4:
      if constexpr (kMinBytes <= 4) {
        return f.template operator()<4>();
      }
      break;
    case 2:
      if constexpr (kMinBytes <= 2) {
        return f.template operator()<2>();
      }
      break;
    case 1:
      if constexpr (kMinBytes <= 1) {
        return f.template operator()<1>();
      }
      break;
    default:
      break;
  }
  return Status::error("rows are not aligned to their element type");
}

inline std::uint64_t address(const void* p) { return std::bit_cast<std::uintptr_t>(p); }

}  // namespace rowlane::kernels
