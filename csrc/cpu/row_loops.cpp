// Compiled once for each instruction set, as ROWLANE_ISA (csrc/CMakeLists.txt).
#include "csrc/cpu/row_loops.h"

#include <cstring>

#include "csrc/cpu/lanes.h"
#include "csrc/cpu/sum_loops.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {

// ---- Bytes -------------------------------------------------------------------------------------

// Past the cache where the processor can; `to` is aligned to the vector.
template <typename Vec>
void stream_vec(void* to, Vec value) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Vec) == 64) {
    _mm512_stream_si512(static_cast<__m512i*>(to), bits_as<__m512i>(value));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (sizeof(Vec) == 32) {
    _mm256_stream_si256(static_cast<__m256i*>(to), bits_as<__m256i>(value));
    return;
  }
#endif
#if defined(__SSE2__)
  if constexpr (sizeof(Vec) == 16) {
    _mm_stream_si128(static_cast<__m128i*>(to), bits_as<__m128i>(value));
    return;
  }
#endif
  std::memcpy(to, &value, sizeof(Vec));
}

// Before other threads may read what was streamed.
void end_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// Bytes from `data` to the next cache line.
std::int64_t bytes_to_line(const void* data) {
  return static_cast<std::int64_t>(-bits_as<std::uintptr_t>(data) % kLineBytes);
}

// A cache line at each end of what is streamed is written as usual, which costs a read of it: too
// much for a short row that is not whole lines.
constexpr std::int64_t kMinStreamBytes = 1024;

bool is_worth_streaming(std::int64_t row_bytes) {
  return row_bytes % kLineBytes == 0 || row_bytes >= kMinStreamBytes;
}

// Streams whole cache lines and writes the rest as usual.
void stream_copy(char* to, const char* from, std::int64_t bytes) {
  const std::int64_t head = bytes_to_line(to);
  if (bytes < head + kLineBytes) {
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
    return;
  }
  std::memcpy(to, from, static_cast<std::size_t>(head));
  std::int64_t i = head;
  for (; i + kLineBytes <= bytes; i += kLineBytes) {
    for (std::int64_t k = 0; k < kLineBytes; k += kVecBytes) {
      stream_vec(to + i + k, load_bits<Bytes>(from + i + k));
    }
  }
  std::memcpy(to + i, from + i, static_cast<std::size_t>(bytes - i));
}

void write_zeros(char* to, std::int64_t bytes, bool streams) {
  const std::int64_t head = bytes_to_line(to);
  if (!streams || bytes < kMinStreamBytes) {
    std::memset(to, 0, static_cast<std::size_t>(bytes));
    return;
  }
  std::memset(to, 0, static_cast<std::size_t>(head));
  std::int64_t i = head;
  for (; i + kLineBytes <= bytes; i += kLineBytes) {
    for (std::int64_t k = 0; k < kLineBytes; k += kVecBytes) {
      stream_vec(to + i + k, Bytes{});
    }
  }
  std::memset(to + i, 0, static_cast<std::size_t>(bytes - i));
}

// ---- Look-up -----------------------------------------------------------------------------------

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

// ---- Sums of sorted gradients ------------------------------------------------------------------

// Rounds a finished sum into a row.
template <typename ElemT, bool kStreams>
struct RowSink {
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

// A share of a dense output that is so small, and mostly zeros, is cleared as a whole: it stays in
// the core's cache, and one long write is faster than many short ones.
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
      summer.sum_entries(begin, end, RowSink<ElemT, true>{out(out_row), divisor});
    } else {
      summer.sum_entries(begin, end, RowSink<ElemT, false>{out(out_row), divisor});
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

template <typename ElemT, typename Entry>
void sum_share(const SumArgs<Entry>& args, SumShare& share) {
  StoreSink<ElemT, Entry> sink(args, share);
  ShareSummer<ElemT, Entry, StoreSink<ElemT, Entry>>(
      args, static_cast<AccumOf<ElemT>*>(share.scratch), sink,
      prefetch_rows_ahead(args.target.dim * static_cast<std::int64_t>(sizeof(ElemT))))
      .sum(share);
  sink.end();
}

template <typename ElemT>
void finish_long_run(const SumTarget& target, const LongRun& run, std::int64_t column_begin,
                     std::int64_t column_end) {
  using Accum = AccumOf<ElemT>;
  // Columns that are summed together, in registers.
  constexpr std::int64_t kColumns = kTileVecs * kLanes<ElemT>;
  auto* const out = static_cast<ElemT*>(target.out) + run.out_row * target.dim;
  const Accum divisor = target.divides_by_count ? static_cast<Accum>(run.count) : Accum{1};
  for (std::int64_t column = column_begin; column < column_end; column += kColumns) {
    const std::int64_t columns = column_end - column < kColumns ? column_end - column : kColumns;
    Accum sums[kColumns];
    sum_chunks(target, run, column, columns, sums);
    for (std::int64_t c = 0; c < columns; ++c) {
      Lane<ElemT>::store(out + column + c, sums[c] / divisor);
    }
  }
}

// ---- Sums of gradients in the order in which they come -----------------------------------------

// Rows of sums that are fetched ahead.
constexpr std::int64_t kScatterAhead = 4;

template <std::int64_t kDim, typename ElemT, typename IndexT>
void scatter_rows_of(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  const ScatterArgs<IndexT> a = args;
  auto* const sums = static_cast<Accum*>(a.sums);
  for (std::int64_t i = a.begin; i < a.end; ++i) {
    const auto row = static_cast<std::int64_t>(a.indices[i]);
    if (row == a.skipped_row) {
      continue;
    }
    const auto* const grad = a.grads.template of<ElemT>(i);
    for (std::int64_t c = 0; c < kDim; ++c) {
      sums[row * kDim + c] += Lane<ElemT>::load(grad + c);
    }
  }
}

template <typename ElemT, typename IndexT>
void scatter_rows(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  const ScatterArgs<IndexT> a = args;
  auto* const all_sums = static_cast<Accum*>(a.sums) + a.column_begin;
  const std::int64_t columns = a.column_end - a.column_begin;
  const std::int64_t vec_columns = columns / kLanes<ElemT> * kLanes<ElemT>;
  for (std::int64_t i = a.begin; i < a.end; ++i) {
    if (i + kScatterAhead < a.end) {
      prefetch_row(all_sums + static_cast<std::int64_t>(a.indices[i + kScatterAhead]) * a.dim,
                   columns * static_cast<std::int64_t>(sizeof(Accum)));
    }
    const auto row = static_cast<std::int64_t>(a.indices[i]);
    if (row == a.skipped_row) {
      continue;
    }
    const ElemT* const grad = a.grads.template of<ElemT>(i) + a.column_begin;
    Accum* const sums = all_sums + row * a.dim;
    for (std::int64_t c = 0; c < vec_columns; c += kLanes<ElemT>) {
      const Vec sum = load_bits<Vec>(sums + c) + Lane<ElemT>::load_vec(grad + c);
      std::memcpy(sums + c, &sum, sizeof(sum));
    }
    for (std::int64_t c = vec_columns; c < columns; ++c) {
      sums[c] += Lane<ElemT>::load(grad + c);
    }
  }
}

template <typename ElemT, typename IndexT>
void clear_sums(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  auto* const sums = static_cast<Accum*>(args.sums) + args.column_begin;
  const std::int64_t columns = args.column_end - args.column_begin;
  const bool is_dense = columns == args.dim;
  for (std::int64_t row = 0; row < (is_dense ? 1 : args.num_rows); ++row) {
    std::memset(
        static_cast<void*>(sums + row * args.dim), 0,
        static_cast<std::size_t>(is_dense ? args.num_rows * columns : columns) * sizeof(Accum));
  }
}

template <typename ElemT, typename IndexT>
void scatter(const ScatterArgs<IndexT>& args) {
  clear_sums<ElemT>(args);
  if (args.column_end - args.column_begin == args.dim) {
    switch (args.dim) {
      case 1:
        return scatter_rows_of<1, ElemT>(args);
      case 2:
        return scatter_rows_of<2, ElemT>(args);
      case 3:
        return scatter_rows_of<3, ElemT>(args);
      case 4:
        return scatter_rows_of<4, ElemT>(args);
      default:
        break;
    }
  }
  scatter_rows<ElemT>(args);
}

template <typename ElemT>
void merge(const MergeArgs& args) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  const MergeArgs a = args;
  const auto* const first = static_cast<const Accum*>(a.first);
  const auto* const rest = static_cast<const Accum*>(a.rest);
  const RowSink<ElemT, false> sink{static_cast<ElemT*>(a.out), Accum{1}};
  std::int64_t i = a.begin;
  for (; i + kLanes<ElemT> <= a.end; i += kLanes<ElemT>) {
    auto sum = load_bits<Vec>(first + i);
    for (std::int64_t share = 0; share < a.num_rest; ++share) {
      sum += load_bits<Vec>(rest + share * a.size + i);
    }
    sink.put(i, sum);
  }
  for (; i < a.end; ++i) {
    Accum sum = first[i];
    for (std::int64_t share = 0; share < a.num_rest; ++share) {
      sum += rest[share * a.size + i];
    }
    sink.put(i, sum);
  }
}

template <typename ElemT>
constexpr ElemLoops kElemLoops{
    .sum_share_32 = &sum_share<ElemT, std::uint32_t>,
    .sum_share_64 = &sum_share<ElemT, std::uint64_t>,
    .finish_long_run = &finish_long_run<ElemT>,
    .scatter_32 = &scatter<ElemT, std::int32_t>,
    .scatter_64 = &scatter<ElemT, std::int64_t>,
    .merge = &merge<ElemT>,
};

}  // namespace

extern const StepLoops kStepLoops;
extern const RowLoops kRowLoops;
const RowLoops kRowLoops{
    .gather_32 = &gather<std::int32_t>,
    .gather_64 = &gather<std::int64_t>,
    .float_loops = kElemLoops<float>,
    .double_loops = kElemLoops<double>,
    .half_loops = kElemLoops<Half>,
    .bfloat16_loops = kElemLoops<BFloat16>,
    .steps = &kStepLoops,
};

}  // namespace rowlane::cpu::ROWLANE_ISA
