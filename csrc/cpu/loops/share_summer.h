// The loop that sums sorted gradients row by row, for the files that are compiled once for each
// instruction set (lanes.h). What becomes of a sum is its sink's matter.
#pragma once

#include <cstdint>
#include <cstring>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/loops.h"

namespace rowlane::cpu::ROWLANE_ISA {

// Rows that are added in one go, so that the partial sums stay in registers.
inline constexpr int kMaxGroupRows = 8;
// Columns of a tile: what the sums of one group are kept for, unless the row is narrower.
inline constexpr int kTileVecs = 4;

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

// Writes a sum as AccumT into scratch memory.
template <typename ElemT>
struct ScratchSink {
  AccumOf<ElemT>* to;

  void put(std::int64_t column, VecOf<ElemT> value) const {
    std::memcpy(to + column, &value, sizeof(value));
  }
  void put(std::int64_t column, AccumOf<ElemT> value) const { to[column] = value; }
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

// Where the sum of the chunk that begins at entry `begin` is kept. Among the chunks of long runs
// that begin within one kChunkEntries, at most one is its run's first, and at most one is not.
inline std::int64_t chunk_slot(std::int64_t begin, bool is_first) {
  return begin / kChunkEntries * 2 + (is_first ? 1 : 0);
}

// The loop over one share's entries. Sink has
//   std::int64_t begin_row(std::int64_t row): a run begins; where its sum goes, as a number;
//   void finish_row(summer, begin, end, out_row): the run is these entries;
//   void fetch_row(std::int64_t row): a run of this row is not far.
template <typename ElemT, typename Entry, typename Sink>
class ShareSummer {
  using Accum = AccumOf<ElemT>;

 public:
  // scratch: AccumT [dim]. Entries are fetched `ahead` entries ahead.
  ShareSummer(const SumArgs<Entry>& args, Accum* scratch, Sink& sink, std::int64_t ahead)
      : args_(args),
        entries_(args.entries),
        dim_(args.target.dim),
        row_bytes_(args.target.dim * static_cast<std::int64_t>(sizeof(ElemT))),
        ahead_(ahead),
        scratch_(scratch),
        sink_(sink) {}

  void sum(SumShare& share) {
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
      const std::int64_t out_row = sink_.begin_row(row);
      if (is_continued) {
        sum_chunk(i, run_end, /*is_first=*/true);
        share.long_runs[share.num_long_runs++] = {i, end_of_run(run_end, row) - i, out_row};
      } else {
        sink_.finish_row(*this, i, run_end, out_row);
      }
      i = run_end;
    }
  }

  // The gradient of a sorted entry.
  [[nodiscard]] const ElemT* grad(std::int64_t i) const {
    return args_.grads.template of<ElemT>(entries_.position(i));
  }

  [[gnu::always_inline]] void fetch_ahead(std::int64_t i) const {
    if (args_.prefetches && i + ahead_ < entries_.size) {
      prefetch_row(grad(i + ahead_), row_bytes_);
      sink_.fetch_row(entries_.row(i + ahead_));
    }
  }

  // In order, group by group; what comes before the last group waits in scratch_.
  template <typename GroupSink>
  void sum_entries(std::int64_t begin, std::int64_t end, const GroupSink& sink) {
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

 private:
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

  void sum_chunk(std::int64_t begin, std::int64_t end, bool is_first) {
    sum_entries(begin, end,
                ScratchSink<ElemT>{static_cast<Accum*>(args_.target.chunk_sums) +
                                   chunk_slot(begin, is_first) * dim_});
  }

  const SumArgs<Entry>& args_;
  const SortedEntries<Entry> entries_;
  const std::int64_t dim_;
  const std::int64_t row_bytes_;
  const std::int64_t ahead_;
  Accum* const scratch_;
  Sink& sink_;
};

// The sum of a long run, from those of its chunks in order, for columns [column, column + columns).
template <typename Accum>
void sum_chunks(const SumTarget& target, const LongRun& run, std::int64_t column,
                std::int64_t columns, Accum* sums) {
  const auto* const chunk_sums = static_cast<const Accum*>(target.chunk_sums);
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
}

}  // namespace rowlane::cpu::ROWLANE_ISA
