// Device body of the catch-up of rows.
#pragma once

#include "cuda/policy.h"
#include "cuda/row_address.cuh"
#include "cuda/row_catch_up.h"
#include "cuda/simt/simt.cuh"
#include "cuda/step_rule.cuh"

namespace rowlane::kernels {

template <typename ElemT, typename KeyT>
struct RowCatchUpKernelArgs {
  StepKernelArgs<ElemT> step;
  const CatchUpLine* __restrict__ lines;  // [num_lines], ascending
  std::int64_t num_lines;
  std::int64_t last_step;
  const KeyT* __restrict__ keys;  // [num_keys], ascending; or null: row i is key i
  std::int64_t num_keys;
  int lanes_log2;
};

ROWLANE_DEVICE CatchUpLine load_line(const CatchUpLine* line) {
  return {.begin = simt::load_nc(&line->begin),
          .end = simt::load_nc(&line->end),
          .lr = simt::load_nc(&line->lr),
          .weight_decay = simt::load_nc(&line->weight_decay),
          .beta1 = simt::load_nc(&line->beta1),
          .beta2 = simt::load_nc(&line->beta2),
          .eps = simt::load_nc(&line->eps),
          .largest_lr = simt::load_nc(&line->largest_lr),
          .is_decoupled = simt::load_nc(&line->is_decoupled),
          .is_nesterov = simt::load_nc(&line->is_nesterov)};
}

// The line that has `step`, by bisection.
ROWLANE_DEVICE std::int64_t find_line(const CatchUpLine* lines, std::int64_t num_lines,
                                      std::int64_t step) {
  std::int64_t low = 0;
  std::int64_t high = num_lines;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (simt::load_nc(&lines[middle].end) <= step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Steps of kSgd with a gradient of zero: w and buf become ww w + ws buf and sw w + ss buf.
struct LinearSteps {
  double ww = 1;
  double ws = 0;
  double sw = 0;
  double ss = 1;
};

ROWLANE_DEVICE LinearSteps compose(const LinearSteps& later, const LinearSteps& first) {
  return {.ww = later.ww * first.ww + later.ws * first.sw,
          .ws = later.ww * first.ws + later.ws * first.ss,
          .sw = later.sw * first.ww + later.ss * first.sw,
          .ss = later.sw * first.ws + later.ss * first.ss};
}

// One of them. What w is multiplied by is rounded as a step has it: of a factor near to 1 the error
// grows with every step, and a dense optimizer has it, too.
template <typename AccumT>
ROWLANE_DEVICE LinearSteps sgd_step(const CatchUpLine& line, bool has_momentum, bool is_first) {
  const double decay = line.lr * line.weight_decay;
  const double keep = line.is_decoupled != 0 ? static_cast<AccumT>(1 - decay) : AccumT{1};
  const double g = line.is_decoupled != 0 ? 0 : line.weight_decay;  // times w
  if (!has_momentum) {
    return {.ww = keep - line.lr * g};
  }
  const double sw = is_first ? g : (1 - line.beta2) * g;
  const double ss = is_first ? 0 : line.beta1;
  const double of_buf = line.is_nesterov != 0 ? line.beta1 : 1;
  const double of_g = line.is_nesterov != 0 ? g : 0;
  return {.ww = keep - line.lr * (of_g + of_buf * sw),
          .ws = -line.lr * of_buf * ss,
          .sw = sw,
          .ss = ss};
}

// kSgd from step `begin` to last_step, in as many multiplications as the ages have bits.
template <typename AccumT>
ROWLANE_DEVICE LinearSteps sgd_steps(const CatchUpLine* lines, std::int64_t num_lines,
                                     std::int64_t begin, std::int64_t last_step,
                                     bool has_momentum) {
  LinearSteps result;
  std::int64_t step = begin;
  for (std::int64_t i = find_line(lines, num_lines, begin); i < num_lines && step <= last_step;
       ++i) {
    const CatchUpLine line = load_line(lines + i);
    const std::int64_t end = line.end <= last_step ? line.end : last_step + 1;
    if (step == 1) {
      result = sgd_step<AccumT>(line, has_momentum, /*is_first=*/true);
      ++step;
    }
    LinearSteps power = sgd_step<AccumT>(line, has_momentum, /*is_first=*/false);
    for (std::int64_t count = end - step; count > 0; count /= 2) {
      if (count % 2 != 0) {
        result = compose(power, result);
      }
      power = compose(power, power);
    }
    step = end;
  }
  return result;
}

// How far below w a change is lost when it is added: half of the distance to the next number, and
// half of that for this comparison.
template <typename T>
inline constexpr T kLost = sizeof(T) == 4 ? T{0x1p-26} : T{0x1p-55};

// Steps between two looks at whether w changes any more.
inline constexpr int kStepsPerLook = 8;

// Replays kAdagrad and kAdam on a piece of a row. What can be a power from some step on is one.
template <typename ElemT, int kElems>
struct CatchUpReplay {
  using AccumT = simt::Accum<ElemT>;
  using Piece = StepKernelArgs<ElemT>::template Piece<kElems>;

  const CatchUpLine* lines;
  std::int64_t num_lines;
  std::int64_t last_step;

  // Whether no later step changes w.
  ROWLANE_DEVICE bool is_still(const StepKernelArgs<ElemT>& step, const Piece& piece,
                               AccumT largest_lr) const {
    bool still = true;
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      const AccumT v = step.num_states > 2 ? piece.states[2][e] : piece.states[1][e];
      const AccumT m = piece.states[0][e] < 0 ? -piece.states[0][e] : piece.states[0][e];
      const AccumT w = piece.w[e] < 0 ? -piece.w[e] : piece.w[e];
      // The largest v is not smaller than v after the first step.
      still = still && v >= piece.states[1][e] &&
              largest_lr * m <= kLost<AccumT> * w * (simt::sqrt(v) + step.eps);
    }
    return still;
  }

  // What `count` steps do to a piece whose m changes nothing, by the factors that the steps have.
  ROWLANE_DEVICE void skip(const StepKernelArgs<ElemT>& step, bool is_adam, std::int64_t count,
                           Piece& piece) const {
    const auto power = [count](AccumT factor) {
      return static_cast<AccumT>(
          simt::pow(static_cast<double>(factor), static_cast<double>(count)));
    };
    const AccumT keep = step.keep != 1 ? power(step.keep) : AccumT{1};
    const AccumT keep_first = is_adam ? power(step.keep_first) : AccumT{1};
    const AccumT keep_second = is_adam ? power(step.keep_second) : AccumT{1};
    ROWLANE_UNROLL
    for (int e = 0; e < kElems; ++e) {
      piece.w[e] *= keep;
      if (is_adam) {
        piece.states[0][e] *= keep_first;
        piece.states[1][e] *= keep_second;
      }
    }
  }

  ROWLANE_DEVICE void run(StepKernelArgs<ElemT> step, std::int64_t begin, Piece& piece) const {
    const bool is_adam = step.rule == StepRule::kAdam;
    bool still = false;
    for (std::int64_t i = find_line(lines, num_lines, begin); i < num_lines && begin <= last_step;
         ++i) {
      const CatchUpLine line = load_line(lines + i);
      const std::int64_t end = line.end <= last_step ? line.end : last_step + 1;
      const bool has_gradient = line.is_decoupled == 0 && line.weight_decay != 0;
      set_numbers(step, StepNumbers{.lr = line.lr,
                                    .weight_decay = line.weight_decay,
                                    .is_decoupled = line.is_decoupled != 0,
                                    .beta1 = line.beta1,
                                    .beta2 = line.beta2,
                                    .eps = line.eps});
      still = still || (!is_adam && !has_gradient);
      double power1 = simt::pow(line.beta1, static_cast<double>(begin - 1));
      double power2 = simt::pow(line.beta2, static_cast<double>(begin - 1));
      for (int until_look = 0; begin < end && !still; ++begin) {
        if (is_adam && until_look-- == 0) {
          until_look = kStepsPerLook - 1;
          const double largest_lr = line.largest_lr / (1 - power1 * line.beta1);
          still = is_still(step, piece, static_cast<AccumT>(largest_lr));
          if (still) {
            break;
          }
        }
        power1 *= line.beta1;
        power2 *= line.beta2;
        const StepScale<AccumT> now{
            .lr = static_cast<AccumT>(is_adam ? line.lr / (1 - power1) : line.lr),
            .v_scale = static_cast<AccumT>(is_adam ? 1 / simt::sqrt(1 - power2) : 1),
            .is_first = false};
        AccumT g[kElems] = {};
        step.step_elements(g, piece, now);
      }
      if (begin < end) {
        skip(step, is_adam, end - begin, piece);
        begin = end;
      }
      still = still && is_adam;
    }
  }
};

// Brings a distinct row up to date by a group of 2^lanes_log2 threads, as renorm_kernel owns them.
// The group's first thread reads the row's step and writes the new one; the others get it by a
// shuffle. No shared memory, no atomics; a row is written by one group.
template <typename ElemT, int kElems, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads, kCatchUpBlocksPerSm)
    row_catch_up_kernel(RowCatchUpKernelArgs<ElemT, KeyT> args) {
  using AccumT = simt::Accum<ElemT>;
  const StepKernelArgs<ElemT>& step = args.step;
  const int lanes = 1 << args.lanes_log2;
  const int lane = simt::thread_id() & (lanes - 1);
  const std::int64_t position =
      (simt::block_id() * kBlockThreads + simt::thread_id()) >> args.lanes_log2;

  bool is_taken = position < args.num_keys;
  std::int64_t row = position;
  if (is_taken && args.keys != nullptr) {
    const KeyT key = simt::load_nc(args.keys + position);
    row = static_cast<std::int64_t>(key);
    is_taken =
        row < step.num_rows && (position == 0 || simt::load_nc(args.keys + position - 1) != key);
  }
  const bool is_first = is_taken && lane == 0;
  std::int64_t from = is_first ? simt::load(step.row_steps + row) : args.last_step;
  from = simt::shfl(simt::kFullMask, from, 0, lanes);
  if (from >= args.last_step) {
    return;
  }

  const bool is_sgd = step.rule == StepRule::kSgd;
  LinearSteps linear;
  if (is_sgd) {
    linear = sgd_steps<AccumT>(args.lines, args.num_lines, from + 1, args.last_step,
                               step.num_states > 0);
  }
  const auto ww = static_cast<AccumT>(linear.ww);
  const auto ws = static_cast<AccumT>(linear.ws);
  const auto sw = static_cast<AccumT>(linear.sw);
  const auto ss = static_cast<AccumT>(linear.ss);
  const CatchUpReplay<ElemT, kElems> replay{
      .lines = args.lines, .num_lines = args.num_lines, .last_step = args.last_step};
  const int first_column = lane * kElems;
  const int columns_per_pass = lanes * kElems;
  for (std::int64_t c = first_column; c < step.dim; c += columns_per_pass) {
    const std::int64_t offset = row_offset(row, step.dim) + c;
    auto piece = step.template load<kElems>(offset);
    if (is_sgd) {
      ROWLANE_UNROLL
      for (int e = 0; e < kElems; ++e) {
        const AccumT w = piece.w[e];
        const AccumT buf = step.num_states > 0 ? piece.states[0][e] : AccumT{0};
        piece.w[e] = ww * w + ws * buf;
        piece.states[0][e] = sw * w + ss * buf;
      }
    } else {
      replay.run(step, from + 1, piece);
    }
    step.store(offset, row, c, piece);
  }
  if (is_first) {
    simt::store(step.row_steps + row, args.last_step);
  }
}

}  // namespace rowlane::kernels
