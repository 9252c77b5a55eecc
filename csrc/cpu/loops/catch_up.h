// Steps of gradient zero that rows have missed, for the files that are compiled once for each
// instruction set (lanes.h).
#pragma once

#include <cstdint>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/row_access.h"
#include "csrc/cpu/loops/step_loops.h"
#include "csrc/cpu/loops/step_rules.h"

namespace rowlane::cpu::ROWLANE_ISA {

// ---- Replay ------------------------------------------------------------------------------------

// Columns of a cache line, whatever the width of a vector: they stop together, so that no
// instruction set changes a bit. Past the row's end they are zeros.
template <typename Accum>
struct LineColumns {
  using Vec = VecOf<Accum>;
  static constexpr int kVecs = static_cast<int>(kLineBytes / kVecBytes);
  static constexpr std::int64_t kCount = kVecs * kLanes<Accum>;

  std::int64_t begin;
  std::int64_t dim;

  void load(const Accum* row, Vec* values) const {
    for_each_part([&](int v, auto columns) { values[v] = columns.load(row); });
  }
  void store(Accum* row, const Vec* values) const {
    for_each_part([&](int v, auto columns) { columns.store(row, values[v]); });
  }

 private:
  template <typename F>
  void for_each_part(const F& f) const {
    std::int64_t column = begin;
    for (int v = 0; v < kVecs && column < dim; ++v, column += kLanes<Accum>) {
      if (column + kLanes<Accum> <= dim) {
        f(v, Columns<Accum, true>{column, kLanes<Accum>});
      } else {
        f(v, Columns<Accum, false>{column, dim - column});
      }
    }
  }
};

// How far below w a change must be to be lost when it is added: half of the distance to the next
// number below it, and a factor of 2 for the rounding of this comparison.
template <typename Accum>
inline constexpr Accum kStill = sizeof(Accum) == 4 ? Accum{0x1p-26} : Accum{0x1p-55};

template <typename Vec>
bool all_of(Vec is_true) {
  constexpr std::size_t kWords = sizeof(Vec) / sizeof(std::uint64_t);
  std::uint64_t words[kWords];
  std::memcpy(words, &is_true, sizeof(Vec));
  std::uint64_t all = ~std::uint64_t{0};
  for (std::size_t i = 0; i < kWords; ++i) {
    all &= words[i];
  }
  return all == ~std::uint64_t{0};
}

// Whether no step changes w any more, if none has a larger step_size. For m / sqrt(v) does not
// grow, nor does m, and what divides sqrt(v) is at most 1.
template <typename Rule, typename Accum, typename Vec>
bool is_still(Accum largest_step_size, Accum eps, const Vec& w, const Vec* state) {
  const Vec zero{};
  const Vec m = state[0] < zero ? -state[0] : state[0];
  const Vec magnitude = w < zero ? -w : w;
  const Vec denominator = sqrt_vec(state[Rule::kNumStates - 1]) + eps;
  return all_of(largest_step_size * m <= kStill<Accum> * magnitude * denominator);
}

// Steps `count` steps, whose scalars are given. With `rest` it stops when w is still; rest[i] is
// for step i and all that follow.
template <typename Rule, typename Accum>
void replay_row(const StepScalars<Accum>* scalars, const RestOfSteps* rest, std::int64_t count,
                const StepRow<Accum>& row) {
  using Vec = VecOf<Accum>;
  using Line = LineColumns<Accum>;
  // Steps between two looks at whether w is still.
  constexpr std::int64_t kSteps = 8;
  for (std::int64_t begin = 0; begin < row.dim; begin += Line::kCount) {
    const Line line{begin, row.dim};
    Vec w[Line::kVecs] = {};
    Vec parts[Rule::kNumStates][Line::kVecs] = {};
    line.load(row.weight, w);
    for (int k = 0; k < Rule::kNumStates; ++k) {
      line.load(row.state[k], parts[k]);
    }
    Vec state[Line::kVecs][Rule::kNumStates];
    for (int v = 0; v < Line::kVecs; ++v) {
      for (int k = 0; k < Rule::kNumStates; ++k) {
        state[v][k] = parts[k][v];
      }
    }
    std::int64_t done = 0;
    for (; done < count; ++done) {
      if constexpr (Rule::kNumStates >= 2) {
        if (rest != nullptr && done % kSteps == 0) {
          bool stops = true;
          for (int v = 0; v < Line::kVecs; ++v) {
            stops = stops && is_still<Rule>(static_cast<Accum>(rest[done].largest_step_size),
                                            scalars[done].eps, w[v], state[v]);
          }
          if (stops) {
            break;
          }
        }
      }
      for (int v = 0; v < Line::kVecs; ++v) {
        Rule::apply(scalars[done], w[v], state[v], Vec{});
      }
    }
    for (int v = 0; v < Line::kVecs; ++v) {
      if constexpr (Rule::kNumStates >= 2) {
        if (done < count) {
          w[v] *= static_cast<Accum>(rest[done].decay);
          state[v][0] *= static_cast<Accum>(rest[done].beta1);
          state[v][1] *= static_cast<Accum>(rest[done].beta2);
        }
      }
      for (int k = 0; k < Rule::kNumStates; ++k) {
        parts[k][v] = state[v][k];
      }
    }
    line.store(row.weight, w);
    for (int k = 0; k < Rule::kNumStates; ++k) {
      line.store(row.state[k], parts[k]);
    }
  }
}

template <typename Accum>
void replay_row_by_rule(const CatchUpArgs& args, std::int64_t first, const StepRow<Accum>& row) {
  const std::int64_t count = args.last_step - args.first_step + 1 - first;
  const auto* const scalars = static_cast<const StepScalars<Accum>*>(args.scalars) + first;
  const RestOfSteps* const rest =
      args.how == CatchUp::kReplayUntilStill ? args.rest + first : nullptr;
  if (args.rule == kernels::StepRule::kAdagrad) {
    replay_row<AdagradRule>(scalars, rest, count, row);
  } else if (args.table.num_states == 2) {
    replay_row<AdamRule>(scalars, rest, count, row);
  } else {
    replay_row<AmsGradRule>(scalars, rest, count, row);
  }
}

// ---- Closed forms ------------------------------------------------------------------------------

template <typename Accum>
void scale_row(Accum factor, const StepRow<Accum>& row) {
  for_each_columns<Accum>(
      row.dim, [&](auto columns) { columns.store(row.weight, columns.load(row.weight) * factor); });
}

template <typename Accum>
void map_row(const LinearSteps& steps, const StepRow<Accum>& row) {
  const auto ww = static_cast<Accum>(steps.weight_from_weight);
  const auto ws = static_cast<Accum>(steps.weight_from_state);
  const auto sw = static_cast<Accum>(steps.state_from_weight);
  const auto ss = static_cast<Accum>(steps.state_from_state);
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    const VecOf<Accum> w = columns.load(row.weight);
    const VecOf<Accum> state = columns.load(row.state[0]);
    columns.store(row.weight, ww * w + ws * state);
    columns.store(row.state[0], sw * w + ss * state);
  });
}

// ---- Rows --------------------------------------------------------------------------------------

// Whether the row has steps to catch up with, and no other thread has taken it; `from` becomes the
// step to which it was up to date.
inline bool takes_row(const CatchUpArgs& args, std::int64_t row, std::int64_t& from) {
  std::int64_t* const row_step = args.table.row_steps + row;
  from = __atomic_load_n(row_step, __ATOMIC_RELAXED);
  if (from >= args.last_step) {
    return false;
  }
  from = __atomic_exchange_n(row_step, args.last_step, __ATOMIC_RELAXED);
  return from < args.last_step;
}

template <typename ElemT, typename IndexT>
void catch_up(const CatchUpArgs& args, const IndexT* indices, std::int64_t begin, std::int64_t end,
              void* scratch) {
  const CatchUpArgs a = args;
  const std::int64_t row_bytes = a.table.dim * static_cast<std::int64_t>(sizeof(ElemT));
  const std::int64_t ahead = prefetch_rows_ahead(row_bytes > 0 ? row_bytes : 1);
  const RowAccess<ElemT> access(a.table, static_cast<AccumOf<ElemT>*>(scratch));
  const auto row_of = [indices](std::int64_t i) {
    return indices == nullptr ? i : static_cast<std::int64_t>(indices[i]);
  };
  for (std::int64_t i = begin; i < end; ++i) {
    if (a.prefetches && i + 2 * ahead < end) {
      __builtin_prefetch(a.table.row_steps + row_of(i + 2 * ahead));
    }
    if (a.prefetches && i + ahead < end && a.how != CatchUp::kNothing &&
        __atomic_load_n(a.table.row_steps + row_of(i + ahead), __ATOMIC_RELAXED) < a.last_step) {
      access.fetch(row_of(i + ahead));
    }
    const std::int64_t row = row_of(i);
    std::int64_t from = 0;
    if (!takes_row(a, row, from) || a.how == CatchUp::kNothing) {
      continue;
    }
    const std::int64_t first = from + 1 - a.first_step;
    const auto opened = access.open(row);
    switch (a.how) {
      case CatchUp::kNothing:
        break;
      case CatchUp::kScale:
        scale_row(static_cast<AccumOf<ElemT>>(a.linear[first].weight_from_weight), opened);
        break;
      case CatchUp::kLinear:
        map_row(a.linear[first], opened);
        break;
      case CatchUp::kReplay:
      case CatchUp::kReplayUntilStill:
        replay_row_by_rule(a, first, opened);
        break;
    }
    access.close(row, opened);
  }
}

}  // namespace rowlane::cpu::ROWLANE_ISA
