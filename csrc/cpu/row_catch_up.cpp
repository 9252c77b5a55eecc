// Steps of gradient zero that rows have missed, on the CPU.
//
// A call costs O(n) scalar work, where n is the number of steps of the row that is furthest behind,
// and for each row that is behind:
// - SGD, and decoupled decay of Adagrad: one pass over the row, whatever its age. Without momentum
//   and decay nothing but its number in row_steps is written; so with Adagrad without decay.
// - Adam without decay or with decoupled decay: up to as many passes, in registers, as its steps
//   are, but no more than it takes until m is too small for w. With betas 0.9 and 0.999 that are
//   about log(2^-26) / log(0.9 / sqrt(0.999)) = 170.
// - Adagrad and Adam with weight decay that is part of the gradient: as many as its steps are.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "csrc/cpu/caches.h"
#include "csrc/cpu/grad_rows.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/scratch.h"
#include "csrc/cpu/step_table.h"
#include "csrc/cpu/threads.h"
#include "csrc/ops/row_step.h"

namespace rowlane::cpu {
namespace {

using ops::StepNumbers;
using ops::StepRule;

// Rows that a thread brings up to date before it takes the next ones.
constexpr std::int64_t kBlockRows = 256;
// Rows that are worth a task of their own when row_steps are looked through.
constexpr std::int64_t kGrain = 16 << 10;

bool has_decay(const StepNumbers& numbers) {
  return numbers.is_decoupled && numbers.lr * numbers.weight_decay != 0;
}

bool has_weight_decay(const StepNumbers& numbers) {
  return !numbers.is_decoupled && numbers.weight_decay != 0;
}

// The numbers of every step from first_step to last_step.
class StepTables {
 public:
  StepTables(StepRule rule, const std::vector<StepNumbers>& history, std::int64_t first_step,
             std::int64_t last_step, const ops::StepTarget& target)
      : rule_(rule),
        is_double_(target.weight.scalar_type() == at::kDouble),
        is_amsgrad_(target.state.size() == 3),
        first_step_(first_step) {
    std::size_t line = 0;
    for (std::int64_t step = first_step; step <= last_step; ++step) {
      while (line + 1 < history.size() && history[line + 1].step <= step) {
        ++line;
      }
      steps_.push_back(history[line]);
    }
    how_ = choose(!target.state.empty());
    if (how_ == CatchUp::kScale || how_ == CatchUp::kLinear) {
      fill_linear();
    } else if (how_ == CatchUp::kReplayUntilStill) {
      fill_rest();
    }
  }

  [[nodiscard]] CatchUp how() const { return how_; }
  [[nodiscard]] const LinearSteps* linear() const { return linear_.data(); }
  [[nodiscard]] const RestOfSteps* rest() const { return rest_.data(); }

  template <typename Accum>
  [[nodiscard]] std::vector<StepScalars<Accum>> scalars() const {
    std::vector<StepScalars<Accum>> result;
    if (how_ == CatchUp::kReplay || how_ == CatchUp::kReplayUntilStill) {
      for (std::size_t i = 0; i < steps_.size(); ++i) {
        result.push_back(step_scalars<Accum>(rule_, steps_[i], step_of(i)));
      }
    }
    return result;
  }

 private:
  [[nodiscard]] std::int64_t step_of(std::size_t i) const {
    return first_step_ + static_cast<std::int64_t>(i);
  }

  [[nodiscard]] CatchUp choose(bool has_state) const {
    const bool any_decay = std::any_of(steps_.begin(), steps_.end(), has_decay);
    const bool any_weight_decay = std::any_of(steps_.begin(), steps_.end(), has_weight_decay);
    switch (rule_) {
      case StepRule::kSgd:
        if (has_state) {
          return CatchUp::kLinear;
        }
        return any_decay || any_weight_decay ? CatchUp::kScale : CatchUp::kNothing;
      case StepRule::kAdagrad:
        if (any_weight_decay) {
          return CatchUp::kReplay;
        }
        return any_decay ? CatchUp::kScale : CatchUp::kNothing;
      case StepRule::kAdam:
        return any_weight_decay ? CatchUp::kReplay : CatchUp::kReplayUntilStill;
      case StepRule::kRowWiseAdagrad:
      case StepRule::kSparseAdam:
      case StepRule::kPartialRowWiseAdam:
      case StepRule::kLamb:
        break;
    }
    TORCH_INTERNAL_ASSERT(false, "no catch-up by rule '", ops::to_string(rule_), "'");
  }

  // A factor as the steps themselves have it: of one that is near to 1, the error of its rounding
  // grows with every step, and a dense optimizer has it, too.
  [[nodiscard]] double rounded(double factor) const {
    return is_double_ ? factor : static_cast<double>(static_cast<float>(factor));
  }

  [[nodiscard]] double decay_of(const StepNumbers& numbers) const {
    return has_decay(numbers) ? rounded(1 - numbers.lr * numbers.weight_decay) : 1;
  }

  // A step of SGD with gradient zero, as a matrix.
  [[nodiscard]] LinearSteps matrix(std::size_t i) const {
    const StepNumbers& n = steps_[i];
    const double decay = decay_of(n);
    if (how_ == CatchUp::kScale && rule_ == StepRule::kAdagrad) {
      return {decay, 0, 0, 1};
    }
    // g = grad w
    const double grad = has_weight_decay(n) ? n.weight_decay * decay : 0;
    if (how_ == CatchUp::kScale || n.beta1 == 0) {
      return {decay - n.lr * grad, 0, 0, 1};
    }
    // buf = from_weight w + from_state buf
    const bool is_first = step_of(i) == 1;
    const double from_weight = is_first ? grad : (1 - n.beta2) * grad;
    const double from_state = is_first ? 0 : n.beta1;
    const bool is_nesterov = n.is_nesterov;
    const double factor = is_nesterov ? n.beta1 : 1;
    return {decay - n.lr * ((is_nesterov ? grad : 0) + factor * from_weight),
            -n.lr * factor * from_state, from_weight, from_state};
  }

  void fill_linear() {
    linear_.assign(steps_.size() + 1, LinearSteps{1, 0, 0, 1});
    for (std::size_t i = steps_.size(); i-- > 0;) {
      const LinearSteps& later = linear_[i + 1];
      const LinearSteps step = matrix(i);
      linear_[i] = {later.weight_from_weight * step.weight_from_weight +
                        later.weight_from_state * step.state_from_weight,
                    later.weight_from_weight * step.weight_from_state +
                        later.weight_from_state * step.state_from_state,
                    later.state_from_weight * step.weight_from_weight +
                        later.state_from_state * step.state_from_weight,
                    later.state_from_weight * step.weight_from_state +
                        later.state_from_state * step.state_from_state};
    }
  }

  // That a step changes w by no more than an earlier one is true when m decays at least as fast as
  // the root of v, or of the largest v, which stays, and when eps is one number.
  [[nodiscard]] bool shrinks(std::size_t i) const {
    const StepNumbers& n = steps_[i];
    const bool decays = n.beta1 <= (is_amsgrad_ ? 1 : std::sqrt(n.beta2));
    return decays && (i + 1 == steps_.size() || steps_[i + 1].eps == n.eps);
  }

  void fill_rest() {
    rest_.assign(steps_.size() + 1, RestOfSteps{0, 1, 1, 1});
    for (std::size_t i = steps_.size(); i-- > 0;) {
      const StepNumbers& n = steps_[i];
      const RestOfSteps& later = rest_[i + 1];
      const double step_size = step_scalars<double>(rule_, n, step_of(i)).step_size;
      rest_[i] = {.largest_step_size = shrinks(i)
                                           ? std::max(later.largest_step_size, std::abs(step_size))
                                           : std::numeric_limits<double>::infinity(),
                  .decay = later.decay * decay_of(n),
                  .beta1 = later.beta1 * rounded(n.beta1),
                  .beta2 = later.beta2 * rounded(n.beta2)};
    }
  }

  const StepRule rule_;
  const bool is_double_;
  const bool is_amsgrad_;
  const std::int64_t first_step_;
  std::vector<StepNumbers> steps_;
  CatchUp how_ = CatchUp::kNothing;
  std::vector<LinearSteps> linear_;
  std::vector<RestOfSteps> rest_;
};

// The smallest row_steps of the rows in `rows` [size], or with null of all.
template <typename IndexT>
std::int64_t smallest_step(const std::int64_t* row_steps, const IndexT* rows, std::int64_t size) {
  std::atomic<std::int64_t> smallest{std::numeric_limits<std::int64_t>::max()};
  at::parallel_for(0, size, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t own = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t i = begin; i < end; ++i) {
      own = std::min(own, row_steps[rows == nullptr ? i : static_cast<std::int64_t>(rows[i])]);
    }
    std::int64_t known = smallest.load();
    while (own < known && !smallest.compare_exchange_weak(known, own)) {
    }
  });
  return smallest.load();
}

template <typename IndexT>
auto catch_up_of(const ElemStepLoops& loops) {
  if constexpr (sizeof(IndexT) == 4) {
    return loops.catch_up_32;
  } else {
    return loops.catch_up_64;
  }
}

template <typename IndexT>
void catch_up(const ops::RowCatchUpCall& call, const std::vector<StepNumbers>& history,
              const IndexT* rows, std::int64_t size) {
  const ops::StepTarget& target = call.target;
  const std::int64_t last_step = call.last_step;
  StepTable table = step_table(target, call.rule);
  const std::int64_t smallest = smallest_step(table.row_steps, rows, size);
  if (size == 0 || smallest >= last_step) {
    return;
  }
  TORCH_CHECK_VALUE(history.front().step <= smallest + 1, call.kOp,
                    ": history must begin with step ", smallest + 1,
                    ", the first that a row has missed, got ", history.front().step);
  const StepTables tables(call.rule, history, smallest + 1, last_step, target);
  const at::ScalarType type = target.weight.scalar_type();
  CatchUpArgs args{.table = table,
                   .rule = call.rule,
                   .how = table.dim == 0 ? CatchUp::kNothing : tables.how(),
                   .first_step = smallest + 1,
                   .last_step = last_step,
                   .linear = tables.linear(),
                   .scalars = nullptr,
                   .rest = tables.rest(),
                   .prefetches = rows != nullptr &&
                                 is_prefetched(static_cast<std::int64_t>(target.weight.nbytes()))};
  const auto float_scalars =
      type == at::kDouble ? std::vector<StepScalars<float>>() : tables.scalars<float>();
  const auto double_scalars =
      type == at::kDouble ? tables.scalars<double>() : std::vector<StepScalars<double>>();
  args.scalars = type == at::kDouble ? static_cast<const void*>(double_scalars.data())
                                     : static_cast<const void*>(float_scalars.data());
  const std::int64_t row_bytes = std::max<std::int64_t>(
      table.dim * static_cast<std::int64_t>(c10::elementSize(type)), sizeof(std::int64_t));
  const std::int64_t num_threads = threads_for(size * row_bytes);
  const std::int64_t block_rows = num_threads == 1 ? size : kBlockRows;
  const std::int64_t scratch_bytes = kStepScratchRows * table.dim * accum_bytes(type);
  Scratch scratch(num_threads * scratch_bytes);
  const ElemStepLoops& loops = elem_step_loops(type);
  for_each_block((size + block_rows - 1) / block_rows, num_threads,
                 [&](std::int64_t block, std::int64_t thread) {
                   catch_up_of<IndexT>(loops)(args, rows, block * block_rows,
                                              std::min(size, (block + 1) * block_rows),
                                              scratch.get() + thread * scratch_bytes);
                 });
}

void catch_up_rows(const ops::RowCatchUpCall& call) {
  const std::vector<StepNumbers> lines = call.lines();
  const std::int64_t num_rows = call.target.weight.size(0);
  if (!call.indices) {
    catch_up<std::int64_t>(call, lines, nullptr, num_rows);
    return;
  }
  const at::Tensor index_list = call.indices->contiguous();
  dispatch_index(index_list, [&]<typename IndexT>() {
    check_indices<IndexT>(call.kOp, index_list, num_rows);
    catch_up<IndexT>(call, lines, index_list.const_data_ptr<IndexT>(), index_list.numel());
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, CPU, m) {
  m.impl("row_catch_up_", &ops::StepKernel<ops::RowCatchUpCall, &catch_up_rows>::run);
}

}  // namespace rowlane::cpu
