// Element and index types of the host API, and the words for a problem's size.
#pragma once

#include <cstdint>

namespace rowlane::kernels {

// Types that arithmetic is done on. Rows that are only copied have no type: they are bytes.
enum class ElemType : std::uint8_t { kFloat32, kFloat64, kFloat16, kBFloat16 };

enum class IndexType : std::uint8_t { kInt32, kInt64 };

constexpr std::int64_t elem_bytes(ElemType type) {
  switch (type) {
    case ElemType::kFloat32:
      return 4;
    case ElemType::kFloat64:
      return 8;
    case ElemType::kFloat16:
    case ElemType::kBFloat16:
      return 2;
  }
  return 0;
}

// Where the sums of a backward go.
enum class RowTarget : std::uint8_t {
  kDense,    // a table that is overwritten: sums, and zeros for the rows without an index
  kAdd,      // a table that they are added to
  kCompact,  // the row gradient: the rows that have an index, ascending, and their sums
  kStep,     // nowhere: an optimizer's step of the rows that have an index uses them up
};

// Sums are accumulated in double for double and in float for everything else.
constexpr std::int64_t accum_bytes(ElemType type) { return type == ElemType::kFloat64 ? 8 : 4; }

}  // namespace rowlane::kernels
