// The inner loops over rows, compiled once per instruction set.
//
// Raw pointers and sizes alone: what is compiled for an instruction set must share no function with
// other files, because the linker could pick that copy for everyone. So what this folder's files
// call lies in the instruction set's namespace or is always inlined, and they include this folder's
// headers, plain ones of cuda/ and the standard library's alone. tests/cpu/check_isa_symbols.py
// finds what is forgotten.
#pragma once

#include <cstdint>

namespace rowlane::cpu {

struct GatherArgs {
  const char* table;          // [num_rows, row_bytes]
  std::int64_t num_rows;      // at least 1
  std::int64_t stride_bytes;  // from row to row of the table
  std::int64_t row_bytes;     // at least 1
  std::int64_t elem_bytes;    // of elements that don't lie next to each other; 0: they do
  std::int64_t elem_stride_bytes;
  char* out;        // [num_indices, row_bytes]
  bool prefetches;  // the table does not fit into the cache
  bool streams;     // the output does not: it is written past the cache
};

// A sorted index list: `row << position_bits | position`, ascending.
template <typename Entry>
struct SortedEntries {
  const Entry* data;
  std::int64_t size;
  int position_bits;

  [[nodiscard, gnu::always_inline]] std::int64_t row(std::int64_t i) const {
    return static_cast<std::int64_t>(std::uint64_t{data[i]} >> position_bits);
  }
  [[nodiscard, gnu::always_inline]] std::int64_t position(std::int64_t i) const {
    return static_cast<std::int64_t>(data[i] & ((std::uint64_t{1} << position_bits) - 1));
  }
};

// The gradients of the look-ups, each ElemT [dim].
struct LookUpGrads {
  const void* data;
  std::int64_t stride;   // elements from row to row
  std::int64_t repeats;  // neighbours that share a row

  template <typename ElemT>
  [[nodiscard, gnu::always_inline]] const ElemT* of(std::int64_t position) const {
    const std::int64_t row = repeats == 1 ? position : position / repeats;
    return static_cast<const ElemT*>(data) + row * stride;
  }
};

// A row with more entries than this is cut into chunks of this many, and its sum is the sum, in
// order, of the sums of its chunks. That makes a sum that several threads share the same for any
// number of them, and it bounds the rounding errors of long sums.
inline constexpr std::int64_t kChunkEntries = 256;

// A row with more than one chunk.
struct LongRun {
  std::int64_t begin;  // its first entry
  std::int64_t count;
  std::int64_t out_row;
};

// Where sums go.
struct SumTarget {
  void* out;         // ElemT [num_rows or num_unique, dim]
  std::int64_t dim;  // at least 1
  void* chunk_sums;  // AccumT [2 * ceil(num_entries / kChunkEntries), dim]
  bool divides_by_count;
};

template <typename Entry>
struct SumArgs {
  SortedEntries<Entry> entries;
  LookUpGrads grads;
  SumTarget target;
  std::int64_t* unique_rows;  // [num_unique], or null: `out` has every row, and the rest is zeros
  bool prefetches;            // the gradients do not fit into the cache
  bool streams;               // `out` does not: it is written past the cache
};

// A part of the entries that begins and ends where a row or a chunk does.
struct SumShare {
  std::int64_t begin;  // entries
  std::int64_t end;
  std::int64_t row_begin;  // rows of a dense output, each either summed or zero
  std::int64_t row_end;
  std::int64_t unique_begin = 0;  // runs that begin before this share
  LongRun* long_runs = nullptr;   // receives those whose first chunk is in this share
  std::int64_t num_long_runs = 0;
  void* scratch = nullptr;  // AccumT [dim]
};

// The sums of indices [begin, end), in order, for columns [column_begin, column_end).
template <typename IndexT>
struct ScatterArgs {
  const IndexT* indices;     // in range; those equal to skipped_row are left out
  std::int64_t skipped_row;  // -1 for none
  LookUpGrads grads;
  std::int64_t dim;
  std::int64_t begin;
  std::int64_t end;
  std::int64_t column_begin;
  std::int64_t column_end;
  void* sums;  // AccumT [num_rows, dim], overwritten
  std::int64_t num_rows;
};

// out[i] = first[i] + rest[0][i] + rest[1][i] + ... for i in [begin, end).
struct MergeArgs {
  const void* first;  // AccumT [size]; may be `out`
  const void* rest;   // AccumT [num_rest, size]
  std::int64_t num_rest;
  std::int64_t size;
  std::int64_t begin;
  std::int64_t end;
  void* out;  // ElemT [size]
};

struct ElemLoops {
  void (*sum_share_32)(const SumArgs<std::uint32_t>&, SumShare&);
  void (*sum_share_64)(const SumArgs<std::uint64_t>&, SumShare&);
  // Adds the chunks of a long run for some columns and writes them.
  void (*finish_long_run)(const SumTarget&, const LongRun&, std::int64_t column_begin,
                          std::int64_t column_end);
  void (*scatter_32)(const ScatterArgs<std::int32_t>&);
  void (*scatter_64)(const ScatterArgs<std::int64_t>&);
  void (*merge)(const MergeArgs&);
};

struct StepLoops;  // step_loops.h

struct RowLoops {
  // Copies the rows of indices [begin, end); row 0 for one out of range. Whether all are in range.
  bool (*gather_32)(const GatherArgs&, const std::int32_t* indices, std::int64_t begin,
                    std::int64_t end);
  bool (*gather_64)(const GatherArgs&, const std::int64_t* indices, std::int64_t begin,
                    std::int64_t end);
  ElemLoops float_loops;
  ElemLoops double_loops;
  ElemLoops half_loops;
  ElemLoops bfloat16_loops;
  const StepLoops* steps;
};

// The loops for the best instruction set of this processor, or for the one that the environment
// variable ROWLANE_CPU_ISA names: baseline, avx2, avx512. All give the same bits.
const RowLoops& row_loops();

}  // namespace rowlane::cpu
