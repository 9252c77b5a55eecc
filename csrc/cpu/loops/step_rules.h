// What each rule does to a row, in float or double, for the files that are compiled once for each
// instruction set (lanes.h). The order of operations is that of torch's optimizer, where torch has
// it; no instruction set changes a bit.
#pragma once

#include <cstdint>

#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/step_scalars.h"

namespace rowlane::cpu::ROWLANE_ISA {

// A row in memory. States that the rule does not keep are null.
template <typename Accum>
struct StepRow {
  Accum* weight = nullptr;      // [dim]
  Accum* state[3] = {};         // [dim]; the last has one number where the rule keeps one per row
  const Accum* grad = nullptr;  // [dim]
  Accum* scratch = nullptr;     // [dim]
  std::int64_t dim = 0;
};

// ---- Columns -----------------------------------------------------------------------------------

// Neighbouring columns of a row in one register: all that fit, or the last of the row, followed by
// zeros.
template <typename Accum, bool kIsWhole>
struct Columns {
  using Vec = VecOf<Accum>;

  std::int64_t begin;
  std::int64_t count;

  [[nodiscard]] Vec load(const Accum* row) const {
    if constexpr (kIsWhole) {
      return load_bits<Vec>(row + begin);
    } else {
      Vec value{};
      copy_row(reinterpret_cast<char*>(&value), reinterpret_cast<const char*>(row + begin),
               count * static_cast<std::int64_t>(sizeof(Accum)));
      return value;
    }
  }
  void store(Accum* row, Vec value) const {
    if constexpr (kIsWhole) {
      std::memcpy(row + begin, &value, sizeof(value));
    } else {
      copy_row(reinterpret_cast<char*>(row + begin), reinterpret_cast<const char*>(&value),
               count * static_cast<std::int64_t>(sizeof(Accum)));
    }
  }
};

template <typename Accum, typename F>
void for_each_columns(std::int64_t dim, const F& f) {
  std::int64_t column = 0;
  for (; column + kLanes<Accum> <= dim; column += kLanes<Accum>) {
    f(Columns<Accum, true>{column, kLanes<Accum>});
  }
  if (column < dim) {
    f(Columns<Accum, false>{column, dim - column});
  }
}

// In as many partial sums as a cache line has numbers, whatever the width of a vector.
template <typename Accum>
Accum sum_of_squares(const Accum* row, std::int64_t dim) {
  constexpr std::int64_t kSums = kLineBytes / static_cast<std::int64_t>(sizeof(Accum));
  constexpr std::int64_t kVecs = kLineBytes / kVecBytes;
  VecOf<Accum> sums[kVecs] = {};
  std::int64_t v = 0;
  for_each_columns<Accum>(dim, [&](auto columns) {
    const VecOf<Accum> value = columns.load(row);
    sums[v % kVecs] += value * value;
    ++v;
  });
  Accum parts[kSums];
  std::memcpy(static_cast<void*>(parts), &sums, sizeof(parts));
  for (std::int64_t width = kSums / 2; width > 0; width /= 2) {
    for (std::int64_t i = 0; i < width; ++i) {
      parts[i] += parts[i + width];
    }
  }
  return parts[0];
}

// ---- Rules whose columns do not know of each other ---------------------------------------------

// w and g before the rest of a rule.
template <typename Accum, typename Vec>
void decay(const StepScalars<Accum>& n, Vec& w, Vec& g) {
  if (n.has_decay) {
    w *= n.decay;
  }
  if (n.has_weight_decay) {
    g += n.weight_decay * w;
  }
}

struct SgdRule {
  static constexpr int kNumStates = 0;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* /*state*/, Vec g) {
    decay(n, w, g);
    w -= n.lr * g;
  }
};

struct MomentumRule {
  static constexpr int kNumStates = 1;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* state, Vec g) {
    decay(n, w, g);
    state[0] = n.is_first ? g : n.beta1 * state[0] + n.rest1 * g;
    w -= n.lr * (n.is_nesterov ? g + n.beta1 * state[0] : state[0]);
  }
};

struct AdagradRule {
  static constexpr int kNumStates = 1;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* state, Vec g) {
    decay(n, w, g);
    state[0] += g * g;
    w -= n.lr * (g / (sqrt_vec(state[0]) + n.eps));
  }
};

template <typename Accum, typename Vec>
void update_moments(const StepScalars<Accum>& n, Vec* state, Vec g) {
  state[0] = n.beta1 * state[0] + n.rest1 * g;
  state[1] = n.beta2 * state[1] + n.rest2 * g * g;
}

struct AdamRule {
  static constexpr int kNumStates = 2;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* state, Vec g) {
    decay(n, w, g);
    update_moments(n, state, g);
    w -= n.step_size * state[0] / (sqrt_vec(state[1]) / n.bias_root + n.eps);
  }
};

struct AmsGradRule {
  static constexpr int kNumStates = 3;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* state, Vec g) {
    decay(n, w, g);
    update_moments(n, state, g);
    state[2] = state[1] > state[2] ? state[1] : state[2];
    w -= n.step_size * state[0] / (sqrt_vec(state[2]) / n.bias_root + n.eps);
  }
};

struct SparseAdamRule {
  static constexpr int kNumStates = 2;
  template <typename Accum, typename Vec>
  static void apply(const StepScalars<Accum>& n, Vec& w, Vec* state, Vec g) {
    decay(n, w, g);
    state[0] += n.rest1 * (g - state[0]);
    state[1] += n.rest2 * (g * g - state[1]);
    w -= n.step_size * (state[0] / (sqrt_vec(state[1]) + n.eps));
  }
};

template <typename Rule, typename Accum>
void step_columns(const StepScalars<Accum>& scalars, const StepRow<Accum>& row) {
  // In registers: what is stored might alias them for all that the compiler knows.
  const StepScalars<Accum> n = scalars;
  const StepRow<Accum> r = row;
  for_each_columns<Accum>(r.dim, [&](auto columns) {
    VecOf<Accum> w = columns.load(r.weight);
    VecOf<Accum> state[Rule::kNumStates + 1] = {};
    for (int k = 0; k < Rule::kNumStates; ++k) {
      state[k] = columns.load(r.state[k]);
    }
    Rule::apply(n, w, state, columns.load(r.grad));
    for (int k = 0; k < Rule::kNumStates; ++k) {
      columns.store(r.state[k], state[k]);
    }
    columns.store(r.weight, w);
  });
}

// ---- Rules that sum over a row -----------------------------------------------------------------

// The gradient with its share of w, and w decayed. -> where the gradient is.
template <typename Accum>
const Accum* decay_row(const StepScalars<Accum>& n, const StepRow<Accum>& row) {
  if (!n.has_decay && !n.has_weight_decay) {
    return row.grad;
  }
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    VecOf<Accum> w = columns.load(row.weight);
    VecOf<Accum> g = columns.load(row.grad);
    decay(n, w, g);
    columns.store(row.weight, w);
    columns.store(row.scratch, g);
  });
  return row.scratch;
}

template <typename Accum>
Accum mean_of_squares(const Accum* row, std::int64_t dim) {
  return sum_of_squares(row, dim) / static_cast<Accum>(dim);
}

template <typename Accum>
void step_row_wise_adagrad(const StepScalars<Accum>& n, const StepRow<Accum>& row) {
  const Accum* const grad = decay_row(n, row);
  *row.state[0] += mean_of_squares(grad, row.dim);
  const Accum scale = n.lr / (sqrt_of(*row.state[0]) + n.eps);
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    columns.store(row.weight, columns.load(row.weight) - scale * columns.load(grad));
  });
}

template <typename Accum>
void step_partial_row_wise_adam(const StepScalars<Accum>& n, const StepRow<Accum>& row) {
  const Accum* const grad = decay_row(n, row);
  *row.state[1] = n.beta2 * *row.state[1] + n.rest2 * mean_of_squares(grad, row.dim);
  const Accum denominator = sqrt_of(*row.state[1]) / n.bias_root + n.eps;
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    const VecOf<Accum> m = n.beta1 * columns.load(row.state[0]) + n.rest1 * columns.load(grad);
    columns.store(row.state[0], m);
    columns.store(row.weight, columns.load(row.weight) - n.step_size * m / denominator);
  });
}

template <typename Accum>
void step_lamb(const StepScalars<Accum>& n, const StepRow<Accum>& row) {
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    VecOf<Accum> state[2] = {columns.load(row.state[0]), columns.load(row.state[1])};
    update_moments(n, state, columns.load(row.grad));
    columns.store(row.state[0], state[0]);
    columns.store(row.state[1], state[1]);
    columns.store(row.scratch,
                  state[0] / n.bias_correction / (sqrt_vec(state[1]) / n.bias_root + n.eps) +
                      n.weight_decay * columns.load(row.weight));
  });
  const Accum weight_norm = sqrt_of(sum_of_squares(row.weight, row.dim));
  const Accum step_norm = sqrt_of(sum_of_squares(row.scratch, row.dim));
  const bool has_ratio = weight_norm != 0 && step_norm != 0;
  const Accum scale = has_ratio ? n.lr * (weight_norm / step_norm) : n.lr;
  for_each_columns<Accum>(row.dim, [&](auto columns) {
    columns.store(row.weight, columns.load(row.weight) - scale * columns.load(row.scratch));
  });
}

}  // namespace rowlane::cpu::ROWLANE_ISA
