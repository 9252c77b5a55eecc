// Where the sums of gradients are stored, for the files that are compiled once for each instruction
// set (lanes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/loops/stream.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {  // NOLINT(google-build-namespaces): stream.h

// Rounds a finished sum into a row.
template <typename ElemT, bool kStreams>
struct RoundingSink {
  using Accum = AccumOf<ElemT>;

  ElemT* to;
  Accum divisor;  // 1 where nothing is divided

  void put(std::int64_t column, VecOf<ElemT> value) const {
    const auto narrowed = Lane<ElemT>::narrow(divisor == Accum{1} ? value : value / divisor);
    if constexpr (kStreams) {
      stream_vec(to + column, narrowed);
    } else {
      std::memcpy(static_cast<void*>(to + column), &narrowed, sizeof(narrowed));
    }
  }
  void put(std::int64_t column, Accum value) const {
    Lane<ElemT>::store(to + column, value / divisor);
  }
};

// A share of a dense output that has at most this many bytes, most of them zeros, is cleared as a
// whole: it stays in the core's cache, and one long write is faster than many short ones.
constexpr std::int64_t kMaxZeroedFirst = std::int64_t{512} << 10;

// Stores each sum as a row: of a dense output, between rows of zeros, or of a compact one.
template <typename ElemT, typename Entry>
class StoreSink {
  using Accum = AccumOf<ElemT>;

 public:
  StoreSink(const SumArgs<Entry>& args, const SumShare& share)
      : args_(args),
        dim_(args.target.dim),
        row_bytes_(args.target.dim * static_cast<std::int64_t>(sizeof(ElemT))),
        streams_rows_(args.streams && is_worth_streaming(row_bytes_)),
        streams_vecs_(args.streams && row_bytes_ % kVecBytes == 0 &&
                      bits_as<std::uintptr_t>(args.target.out) % kVecBytes == 0),
        next_row_(share.row_begin),
        row_end_(share.row_end),
        unique_(share.unique_begin) {
    const std::int64_t num_rows = row_end_ - next_row_;
    if (args.unique_rows == nullptr && !args.streams && num_rows * row_bytes_ <= kMaxZeroedFirst &&
        num_rows > 2 * (share.end - share.begin)) {
      zero_rows(next_row_, row_end_);
      next_row_ = row_end_;
    }
  }

  std::int64_t begin_row(std::int64_t row) {
    if (args_.unique_rows != nullptr) {
      args_.unique_rows[unique_] = row;
      return unique_++;
    }
    if (next_row_ < row_end_) {
      zero_rows(next_row_, row);
      next_row_ = row + 1;
    }
    return row;
  }

  template <typename Summer>
  void finish_row(Summer& summer, std::int64_t begin, std::int64_t end, std::int64_t out_row) {
    const std::int64_t count = end - begin;
    if (count == 1) {
      summer.fetch_ahead(begin);
      auto* const to = reinterpret_cast<char*>(out(out_row));
      const auto* const from = reinterpret_cast<const char*>(summer.grad(begin));
      if (streams_rows_) {
        stream_copy(to, from, row_bytes_);
      } else {
        copy_row(to, from, row_bytes_);
      }
      return;
    }
    const Accum divisor = args_.target.divides_by_count ? static_cast<Accum>(count) : Accum{1};
    if (streams_vecs_) {
      summer.sum_entries(begin, end, RoundingSink<ElemT, true>{out(out_row), divisor});
    } else {
      summer.sum_entries(begin, end, RoundingSink<ElemT, false>{out(out_row), divisor});
    }
  }

  // What is written past the cache or in order needs no fetching.
  void fetch_row(std::int64_t /*row*/) const {}

  void end() const {
    if (args_.unique_rows == nullptr) {
      zero_rows(next_row_, row_end_);
    }
    if (args_.streams) {
      end_streaming();
    }
  }

 private:
  [[nodiscard]] ElemT* out(std::int64_t row) const {
    return static_cast<ElemT*>(args_.target.out) + row * dim_;
  }

  void zero_rows(std::int64_t begin, std::int64_t end) const {
    if (begin < end) {
      write_zeros(reinterpret_cast<char*>(out(begin)), (end - begin) * row_bytes_, args_.streams);
    }
  }

  const SumArgs<Entry>& args_;
  const std::int64_t dim_;
  const std::int64_t row_bytes_;
  const bool streams_rows_;
  const bool streams_vecs_;
  std::int64_t next_row_;
  const std::int64_t row_end_;
  std::int64_t unique_;
};

}  // namespace
}  // namespace rowlane::cpu::ROWLANE_ISA
