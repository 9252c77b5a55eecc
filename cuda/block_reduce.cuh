// How a block sums its share of the sorted items to rows; the heart of the backward.
#pragma once

#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// What is the same for all blocks.
template <typename Source, typename Sink>
struct ReduceArgs {
  Source source;
  Sink sink;
  std::int64_t num_rows;  // runs of this row and beyond are skipped
  std::int64_t dim;
  int item_weight;  // as in MergePath
  int row_weight;
  int lanes_log2;       // threads that sum a slice of a row together, the workers' size
  int slice_accesses;   // accesses, one per thread, that a slice consists of
  bool scale_by_count;  // divides a row's sum by the number of its items
  bool is_staged;       // finished rows are gathered in shared memory
};

// A block's piece of the merge path. For sinks that are not given empty rows, first_row and end_row
// are those of the first item, and of the last item or one more.
template <typename KeyT>
struct BlockShare {
  int items = 0;
  KeyT first_row = 0;      // rows before it are finished before the share
  KeyT end_row = 0;        // rows before it are finished in the share or before
  bool continues = false;  // first_row has items before the share
  bool continued = false;  // end_row has items on both sides of the share's end
  int path_begin = 0;      // of the first item, from where the block's path begins
  int path_length = 0;     // of the block's path
  // Of ranked sinks: where first_row goes, and what is behind the last finished row.
  std::int64_t first_rank = 0;
  std::int64_t end_rank = 0;

  // A share within a single run finishes nothing.
  [[nodiscard]] ROWLANE_DEVICE bool is_inside_run() const {
    return continues && continued && first_row == end_row;
  }
};

// Each worker, a group of 2^lanes_log2 threads, has a piece of the share and sums it in order, with
// kSegmentRowsInFlight gradient rows under way; a worker's last run, which may go on in the next
// worker's piece, is joined by an ordered scan over the workers. A row is stored by the worker that
// it ends in. What crosses the share's edges is left as two partial sums: of first_row, when it
// continues from before, and of end_row, when it is continued behind (or of both in the first,
// when they are the same run).
//
// Who writes what depends on the sorted keys and the shape of the launch alone, so a result is the
// same in every run.
//
// kIsWhole: the list is not cut into shares, so that no run crosses an edge.
template <typename Source, typename Sink, int kElems, typename KeyT, bool kIsWhole = false>
struct BlockReduce {
  using Elem = Sink::Elem;
  using AccumT = simt::Accum<Elem>;
  using Sum = AccumT[kElems];

  const ReduceArgs<Source, Sink>& args;
  const BlockShare<KeyT>& share;
  simt::Shared<KeyT> keys;       // [share.items], ascending
  simt::Shared<KeyT> positions;  // [share.items]
  simt::Shared<Elem> tile;       // [slots of the share, dim], if staged
  int slice;                     // of the rows' columns, that the block sums
  AccumT* partials;              // [shares, 2, dim]
  int share_index;

  struct Cut {
    int item;
    std::int64_t row;
    bool inside_run;
  };

  ROWLANE_DEVICE int lanes() const { return 1 << args.lanes_log2; }
  ROWLANE_DEVICE int worker() const { return simt::thread_id() >> args.lanes_log2; }
  ROWLANE_DEVICE int num_workers() const { return kBlockThreads >> args.lanes_log2; }
  ROWLANE_DEVICE std::int64_t first_slot() const {
    return Sink::kRanked ? share.first_rank : static_cast<std::int64_t>(share.first_row);
  }
  ROWLANE_DEVICE std::int64_t end_slot() const {
    return Sink::kRanked           ? share.end_rank
           : is_row(share.end_row) ? static_cast<std::int64_t>(share.end_row)
                                   : args.num_rows;
  }
  ROWLANE_DEVICE bool is_staged() const { return Sink::kIsPlain && args.is_staged; }
  ROWLANE_DEVICE int lane() const { return simt::thread_id() & (lanes() - 1); }
  ROWLANE_DEVICE int column() const { return (slice * args.slice_accesses + lane()) * kElems; }
  ROWLANE_DEVICE bool is_active() const {
    return lane() < args.slice_accesses && column() < static_cast<int>(args.dim);
  }
  // Row numbers, and the number of rows plus one, fit into a key.
  ROWLANE_DEVICE bool is_row(KeyT key) const { return key < static_cast<KeyT>(args.num_rows); }

  // Per worker where its piece begins, and behind the last where it ends.
  static ROWLANE_DEVICE simt::Shared<int> cut_items() {
    return simt::shared<struct CutItems, int, kBlockThreads + 1>();
  }
  // Twice the row, plus one if the cut is inside of its run.
  static ROWLANE_DEVICE simt::Shared<std::int64_t> cut_rows() {
    return simt::shared<struct CutRows, std::int64_t, kBlockThreads + 1>();
  }
  // Per thread, element by element: the sum of the worker's first row, if it began before it; and
  // of its last, if it goes on behind.
  static ROWLANE_DEVICE simt::Shared<AccumT> heads() {
    return simt::shared<struct Heads, AccumT, kBlockThreads * kElems>();
  }
  static ROWLANE_DEVICE simt::Shared<AccumT> tails() {
    return simt::shared<struct Tails, AccumT, kBlockThreads * kElems>();
  }
  // Whether the run of a worker's tail begins in this block.
  static ROWLANE_DEVICE simt::Shared<int> tail_begins() {
    return simt::shared<struct TailBegins, int, kBlockThreads>();
  }

  static ROWLANE_DEVICE void put(simt::Shared<AccumT> sums, int thread, const Sum& sum) {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      sums.store(e * kBlockThreads + thread, sum[e]);
    }
  }
  // sum = sums[thread] + sum: what comes first in the index list is the left operand.
  static ROWLANE_DEVICE void add_before(simt::Shared<AccumT> sums, int thread, Sum& sum) {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      sum[e] = sums.load(e * kBlockThreads + thread) + sum[e];
    }
  }

  // The first item of `row` or a later one.
  ROWLANE_DEVICE int lower_bound(KeyT row) const {
    int low = 0;
    int high = share.items;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (keys.load(middle) < row) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // As MergePath::cut, within the share.
  ROWLANE_DEVICE Cut cut(int distance) const {
    int low = 0;
    int high = share.items;
    while (low < high) {
      const int middle = (low + high) / 2;
      const int rows = static_cast<int>(keys.load(middle) - share.first_row);
      if (share.path_begin + args.item_weight * middle + args.row_weight * rows >= distance) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const auto first_row = static_cast<std::int64_t>(share.first_row);
    const std::int64_t before = low > 0           ? static_cast<std::int64_t>(keys.load(low - 1))
                                : share.continues ? first_row
                                                  : first_row - 1;
    const auto behind =
        static_cast<std::int64_t>(low < share.items ? keys.load(low) : share.end_row);
    const bool inside_run = low == 0             ? share.continues
                            : low == share.items ? share.continued
                                                 : before == behind;
    if (inside_run) {
      return {low, before, true};
    }
    if constexpr (Sink::kFillsEmptyRows) {
      const int length = distance - share.path_begin - args.item_weight * low;
      const std::int64_t row = first_row + (length + args.row_weight - 1) / args.row_weight;
      return {low, row <= before ? before + 1 : row > behind ? behind : row, false};
    } else {
      return {low, behind, false};
    }
  }

  ROWLANE_DEVICE void store_cut(int at, const Cut& cut) const {
    cut_items().store(at, cut.item);
    cut_rows().store(at, 2 * cut.row + static_cast<int>(cut.inside_run));
  }
  static ROWLANE_DEVICE Cut load_cut(int at) {
    const std::int64_t row = cut_rows().load(at);
    return {cut_items().load(at), row >> 1, (row & 1) != 0};
  }

  // For ranked sinks, 32 items per word: whether an item's row isn't that of the item before; the
  // first item counts as the same.
  static ROWLANE_DEVICE simt::Shared<std::uint32_t> run_begins() {
    return simt::shared<struct RunBegins, std::uint32_t, kMaxShareItems / 32>();
  }

  // Fills run_begins(), with the whole block.
  ROWLANE_DEVICE void find_run_begins() const {
    const int words = (share.items + simt::kWarpSize - 1) / simt::kWarpSize;
    for (int word = simt::warp_id(); word < words; word += kBlockThreads / simt::kWarpSize) {
      const int i = word * simt::kWarpSize + simt::lane_id();
      const bool begins = i > 0 && i < share.items && keys.load(i) != keys.load(i - 1);
      const std::uint32_t mask = simt::ballot(simt::kFullMask, begins);
      if (simt::lane_id() == 0) {
        run_begins().store(word, mask);
      }
    }
    simt::sync_block();
  }

  // How many runs begin behind item 0 and before or at `item`.
  static ROWLANE_DEVICE int runs_until(int item) {
    int runs = 0;
    for (int word = 0; word < item / simt::kWarpSize; ++word) {
      runs += simt::popc(run_begins().load(word));
    }
    const std::uint32_t up_to_item = 0xffffffffU >> (31 - item % simt::kWarpSize);
    return runs + simt::popc(run_begins().load(item / simt::kWarpSize) & up_to_item);
  }

  // What a worker knows of its place in the list.
  struct Walk {
    KeyT row;
    int rank;      // of the row's run within the share, for ranked sinks
    bool is_head;  // the row has items before the worker's piece
  };

  ROWLANE_DEVICE Walk walk_from(const Cut& cut) const {
    int rank = 0;
    if constexpr (Sink::kRanked) {
      rank = cut.item < share.items ? runs_until(cut.item) : 0;
    }
    return {static_cast<KeyT>(cut.row), rank, cut.inside_run};
  }

  // Hands a finished row to the sink.
  ROWLANE_DEVICE void finish(const Walk& walk, Sum& sum) const {
    if (!is_active() || !is_row(walk.row)) {
      return;
    }
    if (args.scale_by_count) {
      const int count = lower_bound(walk.row + 1) - lower_bound(walk.row);
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        sum[e] /= static_cast<AccumT>(count > 0 ? count : 1);
      }
    }
    const std::int64_t slot =
        Sink::kRanked ? share.first_rank + walk.rank : static_cast<std::int64_t>(walk.row);
    if (!is_staged()) {
      args.sink.store(slot, static_cast<std::int64_t>(walk.row), column(), sum);
      return;
    }
    if constexpr (Sink::kIsPlain && Sink::kRanked) {
      args.sink.store_row_number(slot, static_cast<std::int64_t>(walk.row), column());
    }
    const int base = static_cast<int>(slot - first_slot()) * static_cast<int>(args.dim) + column();
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      tile.store(base + e, simt::from_accum<Elem>(sum[e]));
    }
  }

  static ROWLANE_DEVICE void clear(Sum& sum) {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      sum[e] = 0;
    }
  }

  static ROWLANE_DEVICE void copy(const Sum& from, Sum& to) {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      to[e] = from[e];
    }
  }

  // Finishes the rows before `row`.
  ROWLANE_DEVICE void advance(Walk& walk, KeyT row, Sum& sum) const {
    while (walk.row < row) {
      if (walk.is_head) {
        walk.is_head = false;
        put(heads(), simt::thread_id(), sum);
      } else {
        finish(walk, sum);
      }
      clear(sum);
      // The tile is filled with zeros beforehand.
      const bool one_by_one = Sink::kFillsEmptyRows && !is_staged();
      walk.row = one_by_one ? walk.row + 1 : row;
      ++walk.rank;
    }
  }

  ROWLANE_DEVICE void sum_piece(Walk& walk, int begin, int end, Sum& sum) const {
    for (int i = begin; i < end; i += kSegmentRowsInFlight) {
      simt::Vec<typename Source::Elem, kElems> grad[kSegmentRowsInFlight];
      ROWLANE_UNROLL
      for (int k = 0; k < kSegmentRowsInFlight; ++k) {
        if (is_active() && i + k < end && is_row(keys.load(i + k))) {
          grad[k] = args.source.template load<kElems>(
              static_cast<std::int64_t>(positions.load(i + k)), column());
        }
      }
      ROWLANE_UNROLL
      for (int k = 0; k < kSegmentRowsInFlight; ++k) {
        if (i + k < end) {
          const KeyT row = keys.load(i + k);
          advance(walk, row, sum);
          if (is_active() && is_row(row)) {
            args.source.template add<kElems>(sum, grad[k]);
          }
        }
      }
    }
  }

  // sum_piece(), and advance() to end_row, for sinks whose stores are deferred: what is finished
  // among kStepRowsInFlight gradient rows is handed over behind them.
  ROWLANE_DEVICE void sum_deferring_piece(Walk& walk, int begin, int end, KeyT end_row,
                                          Sum& sum) const {
    static_assert(!Sink::kFillsEmptyRows && !Sink::kRanked);
    // One step more, whose row is end_row.
    for (int i = begin; i <= end; i += kStepRowsInFlight) {
      simt::Vec<typename Source::Elem, kElems> grad[kStepRowsInFlight] = {};
      ROWLANE_UNROLL
      for (int k = 0; k < kStepRowsInFlight; ++k) {
        if (is_active() && i + k < end && is_row(keys.load(i + k))) {
          grad[k] = args.source.template load<kElems>(
              static_cast<std::int64_t>(positions.load(i + k)), column());
        }
      }
      Sum finished[kStepRowsInFlight] = {};
      KeyT finished_row[kStepRowsInFlight] = {};
      std::uint32_t is_finished = 0;
      ROWLANE_UNROLL
      for (int k = 0; k < kStepRowsInFlight; ++k) {
        if (i + k <= end) {
          const KeyT row = i + k < end ? keys.load(i + k) : end_row;
          if (walk.row < row) {
            if (walk.is_head) {
              walk.is_head = false;
              put(heads(), simt::thread_id(), sum);
            } else {
              is_finished |= 1U << static_cast<unsigned>(k);
              finished_row[k] = walk.row;
              copy(sum, finished[k]);
            }
            clear(sum);
            walk.row = row;
          }
          if (i + k < end && is_active() && is_row(row)) {
            args.source.template add<kElems>(sum, grad[k]);
          }
        }
      }
      ROWLANE_NO_UNROLL
      while (is_finished != 0) {
        const int next = simt::ffs(is_finished) - 1;
        is_finished &= is_finished - 1;
        Walk done = walk;
        Sum done_sum = {};
        ROWLANE_UNROLL
        for (int k = 0; k < kStepRowsInFlight; ++k) {
          if (k == next) {
            done.row = finished_row[k];
            copy(finished[k], done_sum);
          }
        }
        finish(done, done_sum);
      }
    }
  }

  // Sums the share, with the whole block. keys and positions are in place.
  ROWLANE_DEVICE void run() const {
    const int thread = simt::thread_id();
    const bool is_first_lane = lane() == 0;
    if (is_first_lane) {
      store_cut(worker(), worker() == 0
                              ? Cut{0, static_cast<std::int64_t>(share.first_row), share.continues}
                              : cut(static_cast<int>(static_cast<std::int64_t>(share.path_length) *
                                                     worker() / num_workers())));
    }
    if (thread == 0) {
      store_cut(num_workers(),
                {share.items, static_cast<std::int64_t>(share.end_row), share.continued});
    }
    if (Sink::kFillsEmptyRows && is_staged()) {
      const int elements = static_cast<int>((end_slot() - first_slot()) * args.dim);
      for (int i = thread; i < elements; i += kBlockThreads) {
        tile.store(i, simt::from_accum<Elem>(0));
      }
    }
    simt::sync_block();

    const Cut begin = load_cut(worker());
    const Cut end = load_cut(worker() + 1);
    Walk walk = walk_from(begin);
    Sum sum = {};
    if constexpr (Sink::kDefersStores) {
      sum_deferring_piece(walk, begin.item, end.item, static_cast<KeyT>(end.row), sum);
    } else {
      sum_piece(walk, begin.item, end.item, sum);
      advance(walk, static_cast<KeyT>(end.row), sum);
    }

    const bool has_head = begin.inside_run && !walk.is_head;
    if (!end.inside_run) {
      clear(sum);
    }
    bool tail_begins_here = !(begin.inside_run && end.inside_run && begin.row == end.row);
    for (int step = 1; step < num_workers(); step *= 2) {
      put(tails(), thread, sum);
      if (is_first_lane) {
        tail_begins().store(worker(), static_cast<int>(tail_begins_here));
      }
      simt::sync_block();
      if (worker() >= step && !tail_begins_here) {
        tail_begins_here = tail_begins().load(worker() - step) != 0;
        add_before(tails(), thread - step * lanes(), sum);
      }
      simt::sync_block();
    }
    put(tails(), thread, sum);
    if (is_first_lane) {
      tail_begins().store(worker(), static_cast<int>(tail_begins_here));
    }
    simt::sync_block();

    if (!kIsWhole && end.inside_run && worker() + 1 == num_workers()) {
      store_partial(tail_begins_here ? 1 : 0, sum);
    }
    if (has_head) {
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        sum[e] = heads().load(e * kBlockThreads + thread);
      }
      if (worker() > 0) {
        add_before(tails(), thread - lanes(), sum);
      }
      if (kIsWhole || (worker() > 0 && tail_begins().load(worker() - 1) != 0)) {
        finish(walk_from(begin), sum);
      } else {
        store_partial(0, sum);
      }
    }
    if constexpr (Sink::kIsPlain) {
      if (is_staged()) {
        simt::sync_block();
        store_tile();
      }
    }
  }

  ROWLANE_DEVICE void store_partial(int which, const Sum& sum) const {
    if (is_active()) {
      AccumT* const partial =
          partials + (static_cast<std::int64_t>(share_index) * 2 + which) * args.dim + column();
      // As wide as 16 bytes: columns are multiples of kElems, which divides dim.
      constexpr int kWidest = 16 / static_cast<int>(sizeof(AccumT));
      constexpr int kWide = kElems < kWidest ? kElems : kWidest;
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; e += kWide) {
        simt::Vec<AccumT, kWide> value;
        ROWLANE_UNROLL
        for (int k = 0; k < kWide; ++k) {
          value.v[k] = sum[e + k];
        }
        simt::store(reinterpret_cast<simt::Vec<AccumT, kWide>*>(partial + e), value);
      }
    }
  }

  // Copies the rows that the share finishes to their place, by the widest accesses in between the
  // unaligned ends.
  ROWLANE_DEVICE void store_tile() const {
    constexpr int kWide = 16 / static_cast<int>(sizeof(Elem));
    const int thread = simt::thread_id();
    const int begin = share.continues ? static_cast<int>(args.dim) : 0;
    const int end = static_cast<int>((end_slot() - first_slot()) * args.dim);
    Elem* const out = args.sink.slots() + first_slot() * args.dim;
    const auto misaligned =
        static_cast<int>((reinterpret_cast<std::uintptr_t>(out + begin) & 15U) / sizeof(Elem));
    const int aligned = begin + (misaligned == 0 ? 0 : kWide - misaligned);
    const int wide_begin = aligned < end ? aligned : end;
    if (begin + thread < wide_begin) {
      simt::store(out + begin + thread, tile.load(begin + thread));
    }
    const int num_wide = end > wide_begin ? (end - wide_begin) / kWide : 0;
    for (int i = thread; i < num_wide; i += kBlockThreads) {
      simt::Vec<Elem, kWide> value;
      ROWLANE_UNROLL
      for (int e = 0; e < kWide; ++e) {
        value.v[e] = tile.load(wide_begin + i * kWide + e);
      }
      simt::store(reinterpret_cast<simt::Vec<Elem, kWide>*>(out + wide_begin + i * kWide), value);
    }
    const int rest = wide_begin + num_wide * kWide + thread;
    if (rest < end) {
      simt::store(out + rest, tile.load(rest));
    }
  }
};

}  // namespace rowlane::kernels
