// The step of an optimizer on the elements of a row, for kernels and their launchers.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/rounding.h"
#include "cuda/simt/simt.cuh"
#include "cuda/step_rule.h"

namespace rowlane::kernels {

inline constexpr std::uint32_t kRulesWithMoments =
    rule_set([](const RuleTraits& traits) { return traits.has_moments; });
inline constexpr std::uint32_t kRulesWithoutDecay =
    rule_set([](const RuleTraits& traits) { return traits.decay == DecayKind::kNone; });
inline constexpr std::uint32_t kRulesThatDecouple =
    rule_set([](const RuleTraits& traits) { return traits.decay == DecayKind::kOfGradient; });

__host__ __device__ inline bool is_in(std::uint32_t rules, StepRule rule) {
  return (rules >> static_cast<unsigned>(rule) & 1U) != 0;
}

// What depends on t.
template <typename AccumT>
struct StepScale {
  AccumT lr;       // of m: with its correction of bias
  AccumT v_scale;  // of sqrt(v)
  bool is_first;   // step 1
};

template <typename AccumT>
__host__ __device__ inline StepScale<AccumT> step_scale(StepRule rule, double lr, double beta1,
                                                        double beta2, std::int64_t t) {
  if (!is_in(kRulesWithMoments, rule)) {
    return {static_cast<AccumT>(lr), AccumT{1}, t == 1};
  }
  const auto steps = static_cast<double>(t);
  const double lr_now = (rule == StepRule::kLamb ? 1 : lr) / (1 - ::pow(beta1, steps));
  const double root = ::sqrt(1 - ::pow(beta2, steps));
  return rule == StepRule::kSparseAdam
             ? StepScale<AccumT>{static_cast<AccumT>(lr_now * root), AccumT{1}, t == 1}
             : StepScale<AccumT>{static_cast<AccumT>(lr_now), static_cast<AccumT>(1 / root),
                                 t == 1};
}

// A step as kernels take it: where a row's elements are, and numbers in the type of the arithmetic.
// What a method asks of the rule is the same for all threads of a launch.
template <typename ElemT>
struct StepKernelArgs {
  using AccumT = simt::Accum<ElemT>;

  ElemT* __restrict__ weight;            // [num_rows, dim]
  float* __restrict__ master;            // [num_rows, dim], or null
  void* states[kMaxStepStates];          // [num_rows, dim], the first num_states; of ElemT or float
  AccumT* __restrict__ row_state;        // [num_rows], of row-wise rules
  std::int64_t* __restrict__ row_steps;  // [num_rows], or null
  std::int64_t num_rows;
  std::int64_t dim;
  std::uint64_t seed;
  double lr;  // the next three for a row's own t
  double beta1;
  double beta2;
  std::int64_t step;
  StepScale<AccumT> scale;  // of `step`
  AccumT keep;              // w is multiplied by it first
  AccumT weight_decay;      // times w is added to g; of kLamb to r
  AccumT keep_first;        // of the first state
  AccumT add_first;         // times g is added to it
  AccumT keep_second;       // of the second state, or the row's
  AccumT add_second;        // times g^2 is added to it
  AccumT eps;
  StepRule rule;
  bool is_row_wise;
  int num_states;
  bool states_are_accum;
  bool is_nesterov;
  bool counts_rows;
  bool rounds_at_random;

  // A piece of a row: numbers that are read and written together.
  template <int kElems>
  struct Piece {
    AccumT w[kElems];
    AccumT states[kMaxStepStates][kElems];
  };

  // Vectors of at most 16 bytes.
  template <typename T, int kElems>
  static ROWLANE_DEVICE void load_as(const void* from, std::int64_t offset, AccumT (&to)[kElems]) {
    constexpr int kWidest = 16 / static_cast<int>(sizeof(T));
    constexpr int kWide = kElems < kWidest ? kElems : kWidest;
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; e += kWide) {
      const auto value = simt::load(
          reinterpret_cast<const simt::Vec<T, kWide>*>(static_cast<const T*>(from) + offset + e));
      ROWLANE_UNROLL
      for (int k = 0; k < kWide; ++k) {
        to[e + k] = simt::to_accum(value.v[k]);
      }
    }
  }
  template <typename T, int kElems>
  static ROWLANE_DEVICE void store_as(void* to, std::int64_t offset, const AccumT (&from)[kElems]) {
    constexpr int kWidest = 16 / static_cast<int>(sizeof(T));
    constexpr int kWide = kElems < kWidest ? kElems : kWidest;
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; e += kWide) {
      simt::Vec<T, kWide> value;
      ROWLANE_UNROLL
      for (int k = 0; k < kWide; ++k) {
        value.v[k] = simt::from_accum<T>(from[e + k]);
      }
      simt::store(reinterpret_cast<simt::Vec<T, kWide>*>(static_cast<T*>(to) + offset + e), value);
    }
  }

  static constexpr bool kHasMaster = sizeof(ElemT) == 2;

  template <int kElems>
  ROWLANE_DEVICE Piece<kElems> load(std::int64_t offset) const {
    Piece<kElems> piece = {};
    if (kHasMaster && master != nullptr) {
      load_as<AccumT>(master, offset, piece.w);
    } else {
      load_as<ElemT>(weight, offset, piece.w);
    }
    ROWLANE_UNROLL
    for (int s = 0; s < kMaxStepStates; ++s) {
      if (s >= num_states) {
        continue;
      }
      if (kHasMaster && states_are_accum) {
        load_as<AccumT>(states[s], offset, piece.states[s]);
      } else {
        load_as<ElemT>(states[s], offset, piece.states[s]);
      }
    }
    return piece;
  }

  template <int kElems>
  ROWLANE_DEVICE void store(std::int64_t offset, std::int64_t row, std::int64_t column,
                            Piece<kElems>& piece) const {
    ROWLANE_UNROLL
    for (int s = 0; s < kMaxStepStates; ++s) {
      if (s >= num_states) {
        continue;
      }
      if (kHasMaster && states_are_accum) {
        store_as<AccumT>(states[s], offset, piece.states[s]);
      } else {
        store_as<ElemT>(states[s], offset, piece.states[s]);
      }
    }
    if constexpr (kHasMaster) {
      if (master != nullptr) {
        store_as<AccumT>(master, offset, piece.w);
      }
      if (rounds_at_random) {
        const std::uint32_t key = rounding_key(seed, row);
        ROWLANE_UNROLL
        for (int e = 0; e < kElems; ++e) {
          const std::uint32_t random = rounding_bits(
              key, static_cast<std::uint32_t>(column) + static_cast<std::uint32_t>(e));
          piece.w[e] = std::is_same_v<ElemT, simt::half>
                           ? round_to_half_at_random(piece.w[e], random)
                           : round_to_bfloat16_at_random(piece.w[e], random);
        }
      }
    }
    store_as<ElemT>(weight, offset, piece.w);
  }

  // g and w as the rule's formula wants them.
  template <int kElems>
  ROWLANE_DEVICE void decay(AccumT (&g)[kElems], Piece<kElems>& piece) const {
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      if (weight_decay != 0 && rule != StepRule::kLamb) {
        g[e] += weight_decay * piece.w[e];
      }
      piece.w[e] *= keep;
    }
  }

  // Steps a piece by a rule that is elementwise. g is used up.
  template <int kElems>
  ROWLANE_DEVICE void step_elements(AccumT (&g)[kElems], Piece<kElems>& piece,
                                    const StepScale<AccumT>& now) const {
    AccumT(&w)[kElems] = piece.w;
    AccumT(&first)[kElems] = piece.states[0];
    AccumT(&second)[kElems] = piece.states[1];
    AccumT(&largest)[kElems] = piece.states[2];
    decay(g, piece);
    switch (rule) {
      case StepRule::kSgd:
        ROWLANE_UNROLL
        for (int e = 0; e < kElems; ++e) {
          if (num_states > 0) {
            first[e] = now.is_first ? g[e] : keep_first * first[e] + add_first * g[e];
            g[e] = is_nesterov ? g[e] + keep_first * first[e] : first[e];
          }
          w[e] -= now.lr * g[e];
        }
        break;
      case StepRule::kAdagrad:
        ROWLANE_UNROLL
        for (int e = 0; e < kElems; ++e) {
          first[e] += g[e] * g[e];
          w[e] -= now.lr * (g[e] / (simt::sqrt(first[e]) + eps));
        }
        break;
      case StepRule::kSparseAdam:
        ROWLANE_UNROLL
        for (int e = 0; e < kElems; ++e) {
          first[e] += add_first * (g[e] - first[e]);
          second[e] += add_second * (g[e] * g[e] - second[e]);
          w[e] -= now.lr * (first[e] / (simt::sqrt(second[e]) + eps));
        }
        break;
      case StepRule::kAdam:
        ROWLANE_UNROLL
        for (int e = 0; e < kElems; ++e) {
          first[e] = keep_first * first[e] + add_first * g[e];
          second[e] = keep_second * second[e] + add_second * (g[e] * g[e]);
          AccumT v = second[e];
          if (num_states > 2) {
            largest[e] = largest[e] >= v ? largest[e] : v;  // a NaN stays
            v = largest[e];
          }
          w[e] -= now.lr * (first[e] / (simt::sqrt(v) * now.v_scale + eps));
        }
        break;
      case StepRule::kRowWiseAdagrad:
      case StepRule::kPartialRowWiseAdam:
      case StepRule::kLamb:
        break;
    }
  }

  // What a row-wise rule sums over a row: g^2, or of kLamb w^2 and r^2. g and the piece are used
  // up.
  template <int kElems>
  ROWLANE_DEVICE void add_to_row_sums(AccumT (&g)[kElems], Piece<kElems>& piece,
                                      const StepScale<AccumT>& now, AccumT (&sums)[2]) const {
    decay(g, piece);
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      if (rule == StepRule::kLamb) {
        const AccumT r = lamb_direction(g[e], piece, e, now);
        sums[0] += piece.w[e] * piece.w[e];
        sums[1] += r * r;
      } else {
        sums[0] += g[e] * g[e];
      }
    }
  }

  // The r of an element. Advances its m and v.
  template <int kElems>
  ROWLANE_DEVICE AccumT lamb_direction(AccumT g, Piece<kElems>& piece, int e,
                                       const StepScale<AccumT>& now) const {
    AccumT& m = piece.states[0][e];
    AccumT& v = piece.states[1][e];
    m = keep_first * m + add_first * g;
    v = keep_second * v + add_second * (g * g);
    return now.lr * m / (simt::sqrt(v) * now.v_scale + eps) + weight_decay * piece.w[e];
  }

  // From the sums over a row of `dim` elements to what its g, m or r is multiplied by. row_sum: the
  // row's state, which is advanced; unused by kLamb.
  ROWLANE_DEVICE AccumT row_lr(const AccumT (&sums)[2], AccumT& row_sum,
                               const StepScale<AccumT>& now) const {
    if (rule == StepRule::kLamb) {
      const AccumT w_norm = simt::sqrt(sums[0]);
      const AccumT r_norm = simt::sqrt(sums[1]);
      const auto plain = static_cast<AccumT>(lr);
      return w_norm == 0 || r_norm == 0 ? plain : plain * (w_norm / r_norm);
    }
    row_sum = keep_second * row_sum + add_second * (sums[0] / static_cast<AccumT>(dim));
    return now.lr / (simt::sqrt(row_sum) * now.v_scale + eps);
  }

  // Steps a piece by a row-wise rule. g is used up.
  template <int kElems>
  ROWLANE_DEVICE void step_row_wise(AccumT (&g)[kElems], Piece<kElems>& piece,
                                    const StepScale<AccumT>& now, AccumT row_lr) const {
    decay(g, piece);
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      if (rule == StepRule::kLamb) {
        g[e] = lamb_direction(g[e], piece, e, now);
      } else if (rule == StepRule::kPartialRowWiseAdam) {
        AccumT& m = piece.states[0][e];
        m = keep_first * m + add_first * g[e];
        g[e] = m;
      }
      piece.w[e] -= row_lr * g[e];
    }
  }
};

// Sets what depends on the numbers.
template <typename ElemT>
__host__ __device__ inline void set_numbers(StepKernelArgs<ElemT>& args,
                                            const StepNumbers& numbers) {
  using AccumT = simt::Accum<ElemT>;
  const StepRule rule = args.rule;
  const bool is_sgd = rule == StepRule::kSgd;
  const bool is_sum = rule == StepRule::kRowWiseAdagrad;
  const bool has_decay = !is_in(kRulesWithoutDecay, rule);
  const bool is_decoupled = numbers.is_decoupled && is_in(kRulesThatDecouple, rule);
  args.lr = numbers.lr;
  args.beta1 = numbers.beta1;
  args.beta2 = numbers.beta2;
  args.keep = static_cast<AccumT>(is_decoupled ? 1 - numbers.lr * numbers.weight_decay : 1);
  args.weight_decay = static_cast<AccumT>(is_decoupled || !has_decay ? 0 : numbers.weight_decay);
  args.keep_first = static_cast<AccumT>(numbers.beta1);
  args.add_first = static_cast<AccumT>(1 - (is_sgd ? numbers.beta2 : numbers.beta1));
  args.keep_second = static_cast<AccumT>(is_sum ? 1 : numbers.beta2);
  args.add_second = static_cast<AccumT>(is_sum ? 1 : 1 - numbers.beta2);
  args.eps = static_cast<AccumT>(numbers.eps);
  args.is_nesterov = numbers.is_nesterov;
}

template <typename ElemT>
StepKernelArgs<ElemT> make_step_args(const RowStep& step) {
  using AccumT = simt::Accum<ElemT>;
  const StepTarget& target = step.target;
  const StepNumbers& numbers = step.numbers;
  StepKernelArgs<ElemT> args{};
  args.weight = static_cast<ElemT*>(target.weight);
  args.master = target.master;
  args.num_states = num_element_states(step);
  for (int s = 0; s < args.num_states; ++s) {
    args.states[s] = target.states[static_cast<std::size_t>(s)];
  }
  if (rule_traits(step.rule).row_states > 0) {
    args.row_state = static_cast<AccumT*>(target.states[static_cast<std::size_t>(args.num_states)]);
  }
  args.row_steps = target.row_steps;
  args.num_rows = target.num_rows;
  args.dim = target.dim;
  args.seed = target.seed;
  args.step = numbers.step;
  args.scale =
      step_scale<AccumT>(step.rule, numbers.lr, numbers.beta1, numbers.beta2, numbers.step);
  args.rule = step.rule;
  args.is_row_wise = !rule_traits(step.rule).is_elementwise;
  args.states_are_accum = target.states_are_float;
  args.counts_rows = target.counts_rows;
  args.rounds_at_random = target.rounds_at_random;
  set_numbers(args, numbers);
  return args;
}

}  // namespace rowlane::kernels
