// The loop that copies the rows of indices, for the files that are compiled once for each
// instruction set (lanes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/loops/stream.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {  // NOLINT(google-build-namespaces): stream.h

// The row that is copied for an index: 0 when it is out of range, which is noted.
template <typename IndexT>
std::int64_t checked_row(IndexT index, std::int64_t num_rows, bool& all_in_range) {
  const bool is_in_range = static_cast<std::uint64_t>(static_cast<std::int64_t>(index)) <
                           static_cast<std::uint64_t>(num_rows);
  all_in_range &= is_in_range;
  return is_in_range ? static_cast<std::int64_t>(index) : 0;
}

template <std::size_t kRowBytes, typename IndexT>
bool gather_rows_of(const GatherArgs& args, const IndexT* indices, std::int64_t begin,
                    std::int64_t end) {
  // In registers: the output might alias the arguments for all that the compiler knows.
  const GatherArgs a = args;
  bool all_in_range = true;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t row = checked_row(indices[i], a.num_rows, all_in_range);
    std::memcpy(a.out + i * static_cast<std::int64_t>(kRowBytes), a.table + row * a.stride_bytes,
                kRowBytes);
  }
  return all_in_range;
}

template <bool kPrefetches, bool kStreams, typename IndexT>
bool gather_rows(const GatherArgs& args, const IndexT* indices, std::int64_t begin,
                 std::int64_t end) {
  const GatherArgs a = args;
  const std::int64_t ahead = prefetch_rows_ahead(a.row_bytes);
  bool all_in_range = true;
  bool ignored = true;
  for (std::int64_t i = begin; i < end; ++i) {
    if constexpr (kPrefetches) {
      if (i + ahead < end) {
        prefetch_row(
            a.table + checked_row(indices[i + ahead], a.num_rows, ignored) * a.stride_bytes,
            a.row_bytes);
      }
    }
    const std::int64_t row = checked_row(indices[i], a.num_rows, all_in_range);
    const char* const from = a.table + row * a.stride_bytes;
    char* const to = a.out + i * a.row_bytes;
    if constexpr (kStreams) {
      stream_copy(to, from, a.row_bytes);
    } else {
      copy_row(to, from, a.row_bytes);
    }
  }
  if constexpr (kStreams) {
    end_streaming();
  }
  return all_in_range;
}

// Rows whose elements don't lie next to each other, as those of a transposed table.
template <std::size_t kElemBytes, typename IndexT>
bool gather_elements(const GatherArgs& args, const IndexT* indices, std::int64_t begin,
                     std::int64_t end) {
  const GatherArgs a = args;
  bool all_in_range = true;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t row = checked_row(indices[i], a.num_rows, all_in_range);
    const char* from = a.table + row * a.stride_bytes;
    char* const to = a.out + i * a.row_bytes;
    for (std::int64_t b = 0; b < a.row_bytes; b += static_cast<std::int64_t>(kElemBytes)) {
      std::memcpy(to + b, from, kElemBytes);
      from += a.elem_stride_bytes;
    }
  }
  return all_in_range;
}

template <typename IndexT>
bool gather(const GatherArgs& args, const IndexT* indices, std::int64_t begin, std::int64_t end) {
  switch (args.elem_bytes) {
    case 1:
      return gather_elements<1>(args, indices, begin, end);
    case 2:
      return gather_elements<2>(args, indices, begin, end);
    case 4:
      return gather_elements<4>(args, indices, begin, end);
    case 8:
      return gather_elements<8>(args, indices, begin, end);
    case 16:
      return gather_elements<16>(args, indices, begin, end);
    default:
      break;
  }
  switch (args.row_bytes) {
    case 1:
      return gather_rows_of<1>(args, indices, begin, end);
    case 2:
      return gather_rows_of<2>(args, indices, begin, end);
    case 4:
      return gather_rows_of<4>(args, indices, begin, end);
    case 6:
      return gather_rows_of<6>(args, indices, begin, end);
    case 8:
      return gather_rows_of<8>(args, indices, begin, end);
    case 12:
      return gather_rows_of<12>(args, indices, begin, end);
    case 16:
      return gather_rows_of<16>(args, indices, begin, end);
    case 24:
      return gather_rows_of<24>(args, indices, begin, end);
    case 32:
      return gather_rows_of<32>(args, indices, begin, end);
    default:
      break;
  }
  if (args.streams && is_worth_streaming(args.row_bytes)) {
    return args.prefetches ? gather_rows<true, true>(args, indices, begin, end)
                           : gather_rows<false, true>(args, indices, begin, end);
  }
  return args.prefetches ? gather_rows<true, false>(args, indices, begin, end)
                         : gather_rows<false, false>(args, indices, begin, end);
}

}  // namespace
}  // namespace rowlane::cpu::ROWLANE_ISA
