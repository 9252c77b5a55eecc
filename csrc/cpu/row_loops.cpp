// Compiled once for each instruction set, as ROWLANE_ISA (csrc/CMakeLists.txt). One source, in
// GCC's vector extensions: a vector has the width of the machine's registers.
#include "csrc/cpu/row_loops.h"

#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if !defined(__F16C__)
#include <c10/util/Half.h>
#endif

namespace rowlane::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
constexpr int kVecBytes = 32;
#else
constexpr int kVecBytes = 16;
#endif

constexpr std::int64_t kLineBytes = 64;
// Of a row, what is fetched ahead; the hardware fetches what follows.
constexpr std::int64_t kPrefetchRowBytes = 1024;
// How far ahead rows are fetched, in bytes of rows and in rows.
constexpr std::int64_t kPrefetchBytes = 4096;
constexpr std::int64_t kMinPrefetchRows = 2;
constexpr std::int64_t kMaxPrefetchRows = 16;

std::int64_t clamp(std::int64_t value, std::int64_t low, std::int64_t high) {
  return value < low ? low : (value > high ? high : value);
}

// ---- Vectors -----------------------------------------------------------------------------------

using Int16Vec = std::uint16_t __attribute__((vector_size(kVecBytes / 2)));
using Int32Vec = std::uint32_t __attribute__((vector_size(kVecBytes)));
using FloatVec = float __attribute__((vector_size(kVecBytes)));
using DoubleVec = double __attribute__((vector_size(kVecBytes)));
using Bytes = char __attribute__((vector_size(kVecBytes)));

struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

template <typename To, typename From>
To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

template <typename To>
To load_bits(const void* from) {
  To to;
  std::memcpy(&to, from, sizeof(To));
  return to;
}

// In what rows of ElemT are summed, one value and a register of them, and the way there and back.
template <typename ElemT>
struct Lane;

template <>
struct Lane<float> {
  using Accum = float;
  using Vec = FloatVec;
  static float load(const float* from) { return *from; }
  static void store(float* to, float value) { *to = value; }
  static Vec load_vec(const float* from) { return load_bits<Vec>(from); }
  static Vec narrow(Vec value) { return value; }
};

template <>
struct Lane<double> {
  using Accum = double;
  using Vec = DoubleVec;
  static double load(const double* from) { return *from; }
  static void store(double* to, double value) { *to = value; }
  static Vec load_vec(const double* from) { return load_bits<Vec>(from); }
  static Vec narrow(Vec value) { return value; }
};

template <>
struct Lane<BFloat16> {
  using Accum = float;
  using Vec = FloatVec;
  static float load(const BFloat16* from) {
    return bits_as<float>(static_cast<std::uint32_t>(from->bits) << 16U);
  }
  // To the nearest, ties to even; a NaN stays one.
  static void store(BFloat16* to, float value) {
    const auto bits = bits_as<std::uint32_t>(value);
    to->bits = value != value
                   ? std::uint16_t{0x7fc0}
                   : static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
  }
  static Vec load_vec(const BFloat16* from) {
    return bits_as<Vec>(__builtin_convertvector(load_bits<Int16Vec>(from), Int32Vec) << 16U);
  }
  static Int16Vec narrow(Vec value) {
    const auto bits = bits_as<Int32Vec>(value);
    const Int32Vec rounded = (bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U;
    const auto is_nan = bits_as<Int32Vec>(value != value);
    return __builtin_convertvector((rounded & ~is_nan) | (0x7fc0U & is_nan), Int16Vec);
  }
};

template <>
struct Lane<Half> {
  using Accum = float;
  using Vec = FloatVec;
#if defined(__F16C__)
  static float load(const Half* from) { return _cvtsh_ss(from->bits); }
  static void store(Half* to, float value) {
    to->bits = static_cast<std::uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
  }
#if defined(__AVX512F__)
  // GCC takes the forms without a mask for a use of uninitialised memory.
  static Vec load_vec(const Half* from) {
    return bits_as<Vec>(_mm512_maskz_cvtph_ps(0xffff, load_bits<__m256i>(from)));
  }
  static Int16Vec narrow(Vec value) {
    return bits_as<Int16Vec>(
        _mm512_maskz_cvtps_ph(0xffff, bits_as<__m512>(value), _MM_FROUND_TO_NEAREST_INT));
  }
#else
  static Vec load_vec(const Half* from) {
    return bits_as<Vec>(_mm256_cvtph_ps(load_bits<__m128i>(from)));
  }
  static Int16Vec narrow(Vec value) {
    return bits_as<Int16Vec>(_mm256_cvtps_ph(bits_as<__m256>(value), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
#else
  static float load(const Half* from) { return c10::detail::fp16_ieee_to_fp32_value(from->bits); }
  static void store(Half* to, float value) {
    to->bits = c10::detail::fp16_ieee_from_fp32_value(value);
  }
  static Vec load_vec(const Half* from) {
    Vec value;
    for (std::size_t i = 0; i < kVecBytes / sizeof(float); ++i) {
      value[i] = load(from + i);
    }
    return value;
  }
  static Int16Vec narrow(Vec value) {
    Int16Vec bits;
    for (std::size_t i = 0; i < kVecBytes / sizeof(float); ++i) {
      Half half{};
      store(&half, value[i]);
      bits[i] = half.bits;
    }
    return bits;
  }
#endif
};

template <typename ElemT>
using AccumOf = Lane<ElemT>::Accum;
template <typename ElemT>
using VecOf = Lane<ElemT>::Vec;

template <typename ElemT>
constexpr std::int64_t kLanes = kVecBytes / sizeof(AccumOf<ElemT>);

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

template <typename Unit>
void copy_with_overlap(char* to, const char* from, std::int64_t bytes) {
  const auto last = load_bits<Unit>(from + bytes - sizeof(Unit));
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(sizeof(Unit)) <= bytes; i += sizeof(Unit)) {
    const auto unit = load_bits<Unit>(from + i);
    std::memcpy(to + i, &unit, sizeof(Unit));
  }
  std::memcpy(to + bytes - sizeof(Unit), &last, sizeof(Unit));
}

// Without a call for short rows.
void copy_row(char* to, const char* from, std::int64_t bytes) {
  if (bytes >= kVecBytes) {
    copy_with_overlap<Bytes>(to, from, bytes);
  } else if (bytes >= 8) {
    copy_with_overlap<std::uint64_t>(to, from, bytes);
  } else {
    for (std::int64_t i = 0; i < bytes; ++i) {
      to[i] = from[i];
    }
  }
}

// Always inlined, as is what calls only this: GCC takes a function that does nothing but fetch for
// one that does nothing, and drops the call.
[[gnu::always_inline]] inline void prefetch_row(const void* row, std::int64_t bytes) {
  const char* const begin = static_cast<const char*>(row);
  const std::int64_t end = bytes < kPrefetchRowBytes ? bytes : kPrefetchRowBytes;
  for (std::int64_t i = 0; i < end; i += kLineBytes) {
    __builtin_prefetch(begin + i);
  }
  __builtin_prefetch(begin + end - 1);
}

std::int64_t prefetch_rows_ahead(std::int64_t row_bytes) {
  return clamp(kPrefetchBytes / row_bytes, kMinPrefetchRows, kMaxPrefetchRows);
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

template <typename IndexT>
bool gather(const GatherArgs& args, const IndexT* indices, std::int64_t begin, std::int64_t end) {
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

// Rows that are added in one go, so that the partial sums stay in registers.
constexpr int kMaxGroupRows = 8;
// Columns of a tile: what the sums of one group are kept for, unless the row is narrower.
constexpr int kTileVecs = 4;

template <typename ElemT>
struct RowGroup {
  const ElemT* rows[kMaxGroupRows];
  int count;
};

// `kVecs` registers of the group's sums from column `column` on, added to `partial` unless it is
// null.
template <int kVecs, typename ElemT>
void add_group(const RowGroup<ElemT>& group, std::int64_t column, const AccumOf<ElemT>* partial,
               VecOf<ElemT>* sums) {
  using Vec = VecOf<ElemT>;
  for (int v = 0; v < kVecs; ++v) {
    sums[v] = partial != nullptr
                  ? load_bits<Vec>(partial + column + v * kLanes<ElemT>)
                  : Lane<ElemT>::load_vec(group.rows[0] + column + v * kLanes<ElemT>);
  }
  for (int k = partial != nullptr ? 0 : 1; k < group.count; ++k) {
    for (int v = 0; v < kVecs; ++v) {
      sums[v] += Lane<ElemT>::load_vec(group.rows[k] + column + v * kLanes<ElemT>);
    }
  }
}

// How a finished sum is written: as AccumT into scratch memory, or rounded into a row.
template <typename ElemT>
struct ScratchSink {
  AccumOf<ElemT>* to;

  void put(std::int64_t column, VecOf<ElemT> value) const {
    std::memcpy(to + column, &value, sizeof(value));
  }
  void put(std::int64_t column, AccumOf<ElemT> value) const { to[column] = value; }
};

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

template <typename ElemT, typename Sink>
void sum_group(const RowGroup<ElemT>& group, std::int64_t dim, const AccumOf<ElemT>* partial,
               const Sink& sink) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  constexpr std::int64_t kVecLanes = kLanes<ElemT>;
  std::int64_t column = 0;
  for (; column + kTileVecs * kVecLanes <= dim; column += kTileVecs * kVecLanes) {
    Vec sums[kTileVecs];
    add_group<kTileVecs>(group, column, partial, sums);
    for (int v = 0; v < kTileVecs; ++v) {
      sink.put(column + v * kVecLanes, sums[v]);
    }
  }
  for (; column + kVecLanes <= dim; column += kVecLanes) {
    Vec sum;
    add_group<1>(group, column, partial, &sum);
    sink.put(column, sum);
  }
  for (; column < dim; ++column) {
    Accum sum = partial != nullptr ? partial[column] : Lane<ElemT>::load(group.rows[0] + column);
    for (int k = partial != nullptr ? 0 : 1; k < group.count; ++k) {
      sum += Lane<ElemT>::load(group.rows[k] + column);
    }
    sink.put(column, sum);
  }
}

// The loop over one share's entries.
template <typename ElemT, typename Entry>
class ShareSummer {
  using Accum = AccumOf<ElemT>;

 public:
  // scratch: AccumT [dim]
  ShareSummer(const SumArgs<Entry>& args, Accum* scratch)
      : args_(args),
        entries_(args.entries),
        dim_(args.target.dim),
        row_bytes_(args.target.dim * static_cast<std::int64_t>(sizeof(ElemT))),
        ahead_(prefetch_rows_ahead(row_bytes_)),
        scratch_(scratch),
        streams_rows_(args.streams && is_worth_streaming(row_bytes_)),
        streams_vecs_(args.streams && row_bytes_ % kVecBytes == 0 &&
                      bits_as<std::uintptr_t>(args.target.out) % kVecBytes == 0) {}

  void sum(SumShare& share) {
    std::int64_t next_row = share.row_begin;
    std::int64_t unique = share.unique_begin;
    for (std::int64_t i = share.begin; i < share.end;) {
      const std::int64_t row = entries_.row(i);
      const std::int64_t run_end = end_of_chunk(i, share.end, row);
      const bool is_continued =
          run_end - i == kChunkEntries && run_end < entries_.size && entries_.row(run_end) == row;
      const bool is_continuation = i > 0 && entries_.row(i - 1) == row;
      if (is_continuation) {
        sum_chunk(i, run_end, /*is_first=*/false);
        i = run_end;
        continue;
      }
      if (args_.unique_rows == nullptr) {
        zero_rows(next_row, row);
        next_row = row + 1;
      } else {
        args_.unique_rows[unique] = row;
      }
      const std::int64_t out_row = args_.unique_rows == nullptr ? row : unique;
      ++unique;
      if (is_continued) {
        sum_chunk(i, run_end, /*is_first=*/true);
        share.long_runs[share.num_long_runs++] = {i, end_of_run(run_end, row) - i, out_row};
      } else {
        sum_row(i, run_end, out_row);
      }
      i = run_end;
    }
    if (args_.unique_rows == nullptr) {
      zero_rows(next_row, share.row_end);
    }
    if (args_.streams) {
      end_streaming();
    }
  }

 private:
  [[nodiscard]] const ElemT* grad(std::int64_t i) const {
    return static_cast<const ElemT*>(args_.grads) + entries_.position(i) * args_.grad_stride;
  }

  [[nodiscard]] ElemT* out(std::int64_t row) const {
    return static_cast<ElemT*>(args_.target.out) + row * dim_;
  }

  [[nodiscard]] std::int64_t end_of_chunk(std::int64_t i, std::int64_t end,
                                          std::int64_t row) const {
    const std::int64_t limit = end - i < kChunkEntries ? end : i + kChunkEntries;
    ++i;
    while (i < limit && entries_.row(i) == row) {
      ++i;
    }
    return i;
  }

  // By bisection: the run may be as long as the list.
  [[nodiscard]] std::int64_t end_of_run(std::int64_t i, std::int64_t row) const {
    std::int64_t low = i;
    std::int64_t high = entries_.size;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (entries_.row(middle) == row) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void zero_rows(std::int64_t begin, std::int64_t end) const {
    if (begin < end) {
      write_zeros(reinterpret_cast<char*>(out(begin)), (end - begin) * row_bytes_, args_.streams);
    }
  }

  void sum_chunk(std::int64_t begin, std::int64_t end, bool is_first) {
    sum_entries(begin, end,
                ScratchSink<ElemT>{static_cast<Accum*>(args_.target.chunk_sums) +
                                   chunk_slot(begin, is_first) * dim_});
  }

  void sum_row(std::int64_t begin, std::int64_t end, std::int64_t out_row) {
    auto* const to = reinterpret_cast<char*>(out(out_row));
    const std::int64_t count = end - begin;
    if (count == 1) {
      fetch_ahead(begin);
      const auto* const from = reinterpret_cast<const char*>(grad(begin));
      if (streams_rows_) {
        stream_copy(to, from, row_bytes_);
      } else {
        copy_row(to, from, row_bytes_);
      }
      return;
    }
    const Accum divisor = args_.target.divides_by_count ? static_cast<Accum>(count) : Accum{1};
    if (streams_vecs_) {
      sum_entries(begin, end, RowSink<ElemT, true>{out(out_row), divisor});
    } else {
      sum_entries(begin, end, RowSink<ElemT, false>{out(out_row), divisor});
    }
  }

  [[gnu::always_inline]] void fetch_ahead(std::int64_t i) const {
    if (args_.prefetches && i + ahead_ < entries_.size) {
      prefetch_row(grad(i + ahead_), row_bytes_);
    }
  }

  // In order, group by group; what comes before the last group waits in scratch_.
  template <typename Sink>
  void sum_entries(std::int64_t begin, std::int64_t end, const Sink& sink) {
    const Accum* partial = nullptr;
    for (std::int64_t i = begin; i < end;) {
      RowGroup<ElemT> group;
      group.count = static_cast<int>(end - i < kMaxGroupRows ? end - i : kMaxGroupRows);
      for (int k = 0; k < group.count; ++k) {
        fetch_ahead(i + k);
        group.rows[k] = grad(i + k);
      }
      i += group.count;
      if (i == end) {
        sum_group(group, dim_, partial, sink);
      } else {
        sum_group(group, dim_, partial, ScratchSink<ElemT>{scratch_});
        partial = scratch_;
      }
    }
  }

  const SumArgs<Entry>& args_;
  const SortedEntries<Entry> entries_;
  const std::int64_t dim_;
  const std::int64_t row_bytes_;
  const std::int64_t ahead_;
  Accum* const scratch_;
  const bool streams_rows_;
  const bool streams_vecs_;
};

template <typename ElemT, typename Entry>
void sum_share(const SumArgs<Entry>& args, SumShare& share) {
  ShareSummer<ElemT, Entry>(args, static_cast<AccumOf<ElemT>*>(share.scratch)).sum(share);
}

template <typename ElemT>
void finish_long_run(const SumTarget& target, const LongRun& run, std::int64_t column_begin,
                     std::int64_t column_end) {
  using Accum = AccumOf<ElemT>;
  // Columns that are summed together, in registers.
  constexpr std::int64_t kColumns = kTileVecs * kLanes<ElemT>;
  const auto* const chunk_sums = static_cast<const Accum*>(target.chunk_sums);
  auto* const out = static_cast<ElemT*>(target.out) + run.out_row * target.dim;
  const Accum divisor = target.divides_by_count ? static_cast<Accum>(run.count) : Accum{1};
  for (std::int64_t column = column_begin; column < column_end; column += kColumns) {
    const std::int64_t columns = column_end - column < kColumns ? column_end - column : kColumns;
    Accum sums[kColumns];
    std::memcpy(static_cast<void*>(sums),
                chunk_sums + chunk_slot(run.begin, true) * target.dim + column,
                static_cast<std::size_t>(columns) * sizeof(Accum));
    for (std::int64_t done = kChunkEntries; done < run.count; done += kChunkEntries) {
      const Accum* const chunk =
          chunk_sums + chunk_slot(run.begin + done, false) * target.dim + column;
      for (std::int64_t c = 0; c < columns; ++c) {
        sums[c] += chunk[c];
      }
    }
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
  const auto* const grads = static_cast<const ElemT*>(a.grads);
  auto* const sums = static_cast<Accum*>(a.sums);
  for (std::int64_t i = a.begin; i < a.end; ++i) {
    const auto row = static_cast<std::int64_t>(a.indices[i]);
    if (row == a.skipped_row) {
      continue;
    }
    for (std::int64_t c = 0; c < kDim; ++c) {
      sums[row * kDim + c] += Lane<ElemT>::load(grads + i * a.grad_stride + c);
    }
  }
}

template <typename ElemT, typename IndexT>
void scatter_rows(const ScatterArgs<IndexT>& args) {
  using Accum = AccumOf<ElemT>;
  using Vec = VecOf<ElemT>;
  const ScatterArgs<IndexT> a = args;
  const auto* const grads = static_cast<const ElemT*>(a.grads) + a.column_begin;
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
    const ElemT* const grad = grads + i * a.grad_stride;
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

namespace ROWLANE_ISA {

extern const RowLoops kRowLoops;
const RowLoops kRowLoops{
    .gather_32 = &gather<std::int32_t>,
    .gather_64 = &gather<std::int64_t>,
    .float_loops = kElemLoops<float>,
    .double_loops = kElemLoops<double>,
    .half_loops = kElemLoops<Half>,
    .bfloat16_loops = kElemLoops<BFloat16>,
};

}  // namespace ROWLANE_ISA
}  // namespace rowlane::cpu
