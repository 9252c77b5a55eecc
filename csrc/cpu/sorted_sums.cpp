#include "csrc/cpu/sorted_sums.h"

#include <c10/util/SmallVector.h>

#include <algorithm>
#include <array>
#include <vector>

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/caches.h"
#include "csrc/cpu/scratch.h"
#include "csrc/cpu/threads.h"

namespace rowlane::cpu {
namespace {

// Time of an entry, in rows of zeros: it reads a row at random and writes one.
constexpr std::int64_t kEntryCost = 3;
constexpr std::int64_t kEntryCostBesideStreamedZeros = 7;
// Columns of a long run that are worth a task of their own.
constexpr std::int64_t kLongRunColumns = 64;
// More than one, because the time of steps depends on how many rows a share has.
constexpr std::int64_t kStepSharesOfAThread = 8;

template <typename Entry>
auto sum_share_of(const ElemLoops& loops) {
  if constexpr (sizeof(Entry) == 4) {
    return loops.sum_share_32;
  } else {
    return loops.sum_share_64;
  }
}

template <typename Entry>
auto step_share_of(const ElemStepLoops& loops) {
  if constexpr (sizeof(Entry) == 4) {
    return loops.step_share_32;
  } else {
    return loops.step_share_64;
  }
}

// One for each share; few machines need more than are within the object.
template <typename T>
using PerShare = c10::SmallVector<T, 4>;

// Cuts entries and rows of the output into shares of equal work, whatever the skew: a row with many
// entries is cut between its chunks.
template <typename Entry>
class SortedSums {
 public:
  SortedSums(const SortedEntries<Entry>& entries, const GradRows& grads)
      : entries_(entries), grads_(grads) {}

  at::Tensor dense(std::int64_t num_rows, bool divides_by_count) {
    at::Tensor out = empty_output({num_rows, grads_.dim}, grads_.dtype);
    const std::int64_t bytes = num_rows * grads_.row_bytes();
    const bool streams = is_streamed(bytes);
    cut(threads_for(bytes + entries_.size * grads_.row_bytes()),
        streams ? kEntryCostBesideStreamedZeros : kEntryCost, num_rows);
    run(out, nullptr, streams, divides_by_count);
    return out;
  }

  std::tuple<at::Tensor, at::Tensor> rows(bool divides_by_count) {
    cut(threads_for(entries_.size * grads_.row_bytes()), 1, 0);
    const std::int64_t num_unique = count_unique();
    at::Tensor unique_rows = empty_output({num_unique}, at::kLong);
    at::Tensor out = empty_output({num_unique, grads_.dim}, grads_.dtype);
    run(out, unique_rows.mutable_data_ptr<std::int64_t>(),
        is_streamed(num_unique * grads_.row_bytes()), divides_by_count);
    return {unique_rows, out};
  }

  void steps(const StepArgs& step) {
    const std::int64_t num_threads = threads_for(entries_.size * grads_.row_bytes());
    cut(num_threads == 1 ? 1 : num_threads * kStepSharesOfAThread, 1, 0);
    const ElemStepLoops& loops = elem_step_loops(grads_.dtype);
    const std::int64_t sum_bytes = grads_.dim * accum_bytes(grads_.dtype);
    const std::int64_t scratch_bytes = kStepScratchRows * sum_bytes;
    const c10::DataPtr chunk_sums = allocate_chunk_sums();
    Scratch scratch(num_threads * scratch_bytes);
    const auto scratch_of = [&](std::int64_t thread) {
      return scratch.get() + thread * scratch_bytes;
    };
    const SumArgs<Entry> args{.entries = entries_,
                              .grads = grads_.look_ups,
                              .target = {.out = nullptr,
                                         .dim = grads_.dim,
                                         .chunk_sums = chunk_sums.get(),
                                         .divides_by_count = step.divides_by_count},
                              .unique_rows = nullptr,
                              .prefetches = true,
                              .streams = false};
    PerShare<std::vector<LongRun>> long_runs(shares_.size());
    for_each_block(static_cast<std::int64_t>(shares_.size()), num_threads,
                   [&](std::int64_t s, std::int64_t thread) {
                     SumShare& share = shares_[static_cast<std::size_t>(s)];
                     share.scratch = scratch_of(thread);
                     with_long_runs(share, long_runs[static_cast<std::size_t>(s)],
                                    [&] { step_share_of<Entry>(loops)(args, step, share); });
                   });
    const std::vector<LongRun> runs = join(long_runs);
    const auto num_runs = static_cast<std::int64_t>(runs.size());
    for_each_block(num_runs, std::min(num_threads, std::max<std::int64_t>(num_runs, 1)),
                   [&](std::int64_t run, std::int64_t thread) {
                     loops.finish_long_run(args.target, step, runs[static_cast<std::size_t>(run)],
                                           scratch_of(thread));
                   });
  }

 private:
  // Work lies on a path that passes each row of the output, and each entry after its row.
  void cut(std::int64_t num_shares, std::int64_t entry_cost, std::int64_t num_rows) {
    const std::int64_t path = entry_cost * entries_.size + num_rows;
    shares_.resize(static_cast<std::size_t>(num_shares));
    std::int64_t begin = 0;
    std::int64_t row_begin = 0;
    for (std::int64_t share = 0; share < num_shares; ++share) {
      const bool is_last = share + 1 == num_shares;
      const std::int64_t place = path / num_shares * (share + 1);
      std::int64_t end = is_last ? entries_.size : entry_at(place, entry_cost, num_rows > 0);
      end = std::max(begin, end_of_chunk(end));
      const std::int64_t row_end = is_last ? num_rows : row_at(end, place - entry_cost * end);
      shares_[static_cast<std::size_t>(share)] = {.begin = begin,
                                                  .end = end,
                                                  .row_begin = row_begin,
                                                  .row_end = std::max(row_begin, row_end)};
      begin = end;
      row_begin = shares_[static_cast<std::size_t>(share)].row_end;
    }
  }

  // The first entry that lies at `place` of the path or after it.
  [[nodiscard]] std::int64_t entry_at(std::int64_t place, std::int64_t entry_cost,
                                      bool counts_rows) const {
    return first_entry(0, [&](std::int64_t i) {
      return entry_cost * i + (counts_rows ? entries_.row(i) : 0) >= place;
    });
  }

  // The first entry from i on that begins a row or a chunk.
  [[nodiscard]] std::int64_t end_of_chunk(std::int64_t i) const {
    if (i <= 0 || i >= entries_.size || entries_.row(i) != entries_.row(i - 1)) {
      return i;
    }
    const std::int64_t row = entries_.row(i);
    const std::int64_t begin =
        first_entry(0, [&](std::int64_t k) { return entries_.row(k) >= row; });
    const std::int64_t chunk_end =
        begin + (i - begin + kChunkEntries - 1) / kChunkEntries * kChunkEntries;
    if (chunk_end < entries_.size && entries_.row(chunk_end) == row) {
      return chunk_end;
    }
    return first_entry(i, [&](std::int64_t k) { return entries_.row(k) > row; });
  }

  // Where the rows of zeros are cut, between the rows of entries end - 1 and `end`.
  [[nodiscard]] std::int64_t row_at(std::int64_t end, std::int64_t row) const {
    const std::int64_t low = end == 0 ? 0 : entries_.row(end - 1) + 1;
    return end == entries_.size ? std::max(low, row)
                                : std::clamp(row, low, std::max(low, entries_.row(end)));
  }

  // The first entry from `low` on for which is_true holds; it holds for all that follow.
  template <typename Predicate>
  [[nodiscard]] std::int64_t first_entry(std::int64_t low, Predicate&& is_true) const {
    std::int64_t high = entries_.size;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (is_true(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  std::int64_t count_unique() {
    const auto num_shares = static_cast<std::int64_t>(shares_.size());
    PerShare<std::int64_t> counts(shares_.size());
    for_each_share(num_shares, [&](std::int64_t s) {
      const SumShare& share = shares_[static_cast<std::size_t>(s)];
      std::int64_t count = 0;
      for (std::int64_t i = share.begin; i < share.end; ++i) {
        count += i == 0 || entries_.row(i) != entries_.row(i - 1) ? 1 : 0;
      }
      counts[static_cast<std::size_t>(s)] = count;
    });
    std::int64_t total = 0;
    for (std::size_t s = 0; s < shares_.size(); ++s) {
      shares_[s].unique_begin = total;
      total += counts[s];
    }
    return total;
  }

  void run(const at::Tensor& out, std::int64_t* unique_rows, bool streams, bool divides_by_count) {
    const std::int64_t num_shares = static_cast<std::int64_t>(shares_.size());
    const std::int64_t sum_bytes = grads_.dim * accum_bytes(grads_.dtype);
    const c10::DataPtr chunk_sums = allocate_chunk_sums();
    Scratch scratch(num_shares * sum_bytes);
    const SumArgs<Entry> args{.entries = entries_,
                              .grads = grads_.look_ups,
                              .target = {.out = out.mutable_data_ptr(),
                                         .dim = grads_.dim,
                                         .chunk_sums = chunk_sums.get(),
                                         .divides_by_count = divides_by_count},
                              .unique_rows = unique_rows,
                              .prefetches = is_prefetched(entries_.size * grads_.row_bytes()),
                              .streams = streams};
    const ElemLoops& loops = elem_loops(grads_.dtype);
    PerShare<std::vector<LongRun>> long_runs(shares_.size());
    for_each_share(num_shares, [&](std::int64_t s) {
      SumShare& share = shares_[static_cast<std::size_t>(s)];
      share.scratch = scratch.get() + s * sum_bytes;
      with_long_runs(share, long_runs[static_cast<std::size_t>(s)],
                     [&] { sum_share_of<Entry>(loops)(args, share); });
    });
    finish_long_runs(args.target, join(long_runs), loops);
  }

  [[nodiscard]] c10::DataPtr allocate_chunk_sums() const {
    const std::int64_t num_chunks = (entries_.size + kChunkEntries - 1) / kChunkEntries;
    const std::int64_t sum_bytes = grads_.dim * accum_bytes(grads_.dtype);
    return block_cache().allocate(
        num_chunks > 1 ? static_cast<std::size_t>(2 * num_chunks * sum_bytes) : 0);
  }

  // `runs` receives the long runs that begin in the share when f() works on it. It has no more of
  // them than chunks, but for one that ends after it.
  template <typename F>
  static void with_long_runs(SumShare& share, std::vector<LongRun>& runs, F&& f) {
    runs.resize(static_cast<std::size_t>((share.end - share.begin) / kChunkEntries));
    share.long_runs = runs.data();
    f();
    runs.resize(static_cast<std::size_t>(share.num_long_runs));
  }

  static std::vector<LongRun> join(const PerShare<std::vector<LongRun>>& of_shares) {
    std::vector<LongRun> runs;
    for (const auto& of_share : of_shares) {
      runs.insert(runs.end(), of_share.begin(), of_share.end());
    }
    return runs;
  }

  void finish_long_runs(const SumTarget& target, const std::vector<LongRun>& runs,
                        const ElemLoops& loops) const {
    const std::int64_t parts = (grads_.dim + kLongRunColumns - 1) / kLongRunColumns;
    at::parallel_for(0, static_cast<std::int64_t>(runs.size()) * parts, 1,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t task = begin; task < end; ++task) {
                         const std::int64_t column = task % parts * kLongRunColumns;
                         loops.finish_long_run(target, runs[static_cast<std::size_t>(task / parts)],
                                               column,
                                               std::min(grads_.dim, column + kLongRunColumns));
                       }
                     });
  }

  const SortedEntries<Entry> entries_;
  const GradRows& grads_;
  PerShare<SumShare> shares_;
};

}  // namespace

at::Tensor sorted_dense_sums(const SortedIndices& indices, const GradRows& grads,
                             std::int64_t num_rows, bool divides_by_count) {
  at::Tensor out;
  indices.visit([&]<typename Entry>(const SortedEntries<Entry>& entries) {
    out = SortedSums<Entry>(entries, grads).dense(num_rows, divides_by_count);
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> sorted_row_sums(const SortedIndices& indices,
                                                   const GradRows& grads, bool divides_by_count) {
  std::tuple<at::Tensor, at::Tensor> result;
  indices.visit([&]<typename Entry>(const SortedEntries<Entry>& entries) {
    result = SortedSums<Entry>(entries, grads).rows(divides_by_count);
  });
  return result;
}

void sorted_row_steps(const SortedIndices& indices, const GradRows& grads, const StepArgs& args) {
  indices.visit([&]<typename Entry>(const SortedEntries<Entry>& entries) {
    SortedSums<Entry>(entries, grads).steps(args);
  });
}

}  // namespace rowlane::cpu
