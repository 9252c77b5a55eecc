// How a block sums its share of the sorted items to rows; the heart of the backward.
#pragma once

#include "cuda/block_share.cuh"
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

// Each worker, a group of 2^lanes_log2 threads, has a piece of the share and sums it in order, with
// kSegmentRowsInFlight gradient rows under way; a worker's last run, which may go on in the next
// worker's piece, is joined by an ordered scan over the workers. A row is stored by the worker that
// it ends in. What crosses the share's edges is left as two partial sums: of first_row, when it
// continues from before, and of end_row, when it is continued after it (or of both in the first,
// when they are the same run).
//
// Who writes what depends on the sorted keys and the shape of the launch alone, so a result is the
// same in every run.
//
// kIsWhole: the list is not cut into shares, so that no run crosses an edge.
template <typename Source, typename Sink, int kElems, typename KeyT, bool kIsWhole = false>
struct BlockReduce : BlockItems<Source, Sink, KeyT> {
  using Items = BlockItems<Source, Sink, KeyT>;
  using Cut = Items::Cut;
  using Elem = Sink::Elem;
  using AccumT = simt::Accum<Elem>;
  using Sum = AccumT[kElems];

  simt::Shared<KeyT> positions;  // [share.items]
  simt::Shared<Elem> tile;       // [slots of the share, dim], if staged
  int slice;                     // of the rows' columns, that the block sums
  AccumT* partials;              // [shares, 2, dim]
  int share_index;

  using Items::args;
  using Items::cut;
  using Items::end_slot;
  using Items::first_slot;
  using Items::is_row;
  using Items::keys;
  using Items::lanes;
  using Items::load_cut;
  using Items::lower_bound;
  using Items::num_workers;
  using Items::runs_until;
  using Items::share;
  using Items::store_cut;
  using Items::worker;

  ROWLANE_DEVICE bool is_staged() const { return Sink::kIsPlain && args.is_staged; }
  ROWLANE_DEVICE int lane() const { return simt::thread_id() & (lanes() - 1); }
  ROWLANE_DEVICE int column() const { return (slice * args.slice_accesses + lane()) * kElems; }
  ROWLANE_DEVICE bool is_active() const {
    return lane() < args.slice_accesses && column() < static_cast<int>(args.dim);
  }

  // Per thread, element by element: the sum of the worker's first row, if it began before it; and
  // of its last, if it goes on after it.
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
  // among kStepRowsInFlight gradient rows is handed over after them.
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
