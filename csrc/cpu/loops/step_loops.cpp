// Compiled once for each instruction set, as ROWLANE_ISA (csrc/CMakeLists.txt).
#include "csrc/cpu/loops/step_loops.h"

#include <cstdint>
#include <type_traits>

#include "csrc/cpu/loops/catch_up.h"
#include "csrc/cpu/loops/lanes.h"
#include "csrc/cpu/loops/row_access.h"
#include "csrc/cpu/loops/share_summer.h"
#include "csrc/cpu/loops/step_rules.h"

namespace rowlane::cpu::ROWLANE_ISA {
namespace {

using kernels::StepRule;

template <typename Accum>
using StepFunction = void (*)(const StepScalars<Accum>&, const StepRow<Accum>&);

template <typename Accum>
StepFunction<Accum> step_function(StepRule rule, int num_states) {
  switch (rule) {
    case StepRule::kSgd:
      return num_states == 0 ? &step_columns<SgdRule, Accum> : &step_columns<MomentumRule, Accum>;
    case StepRule::kAdagrad:
      return &step_columns<AdagradRule, Accum>;
    case StepRule::kRowWiseAdagrad:
      return &step_row_wise_adagrad<Accum>;
    case StepRule::kAdam:
      return num_states == 2 ? &step_columns<AdamRule, Accum> : &step_columns<AmsGradRule, Accum>;
    case StepRule::kSparseAdam:
      return &step_columns<SparseAdamRule, Accum>;
    case StepRule::kPartialRowWiseAdam:
      return &step_partial_row_wise_adam<Accum>;
    case StepRule::kLamb:
      return &step_lamb<Accum>;
  }
  return nullptr;
}

// The scalars of the steps that rows take; those of a few steps are kept, because powers are slow.
template <typename Accum>
class ScalarsOfSteps {
 public:
  explicit ScalarsOfSteps(const StepArgs& args) : args_(args) {}

  const StepScalars<Accum>& of(std::int64_t step) {
    const std::int64_t slot = step % kSlots;
    if (steps_[slot] != step) {
      scalars_[slot] = step_scalars<Accum>(args_.rule, args_.numbers, step);
      steps_[slot] = step;
    }
    return scalars_[slot];
  }

 private:
  static constexpr std::int64_t kSlots = 64;

  const StepArgs& args_;
  std::int64_t steps_[kSlots] = {};  // 0: none
  StepScalars<Accum> scalars_[kSlots];
};

// Steps one row after the other.
template <typename ElemT>
class RowStepper {
  using Accum = AccumOf<ElemT>;

 public:
  // scratch: AccumT [RowAccess::kScratchRows, dim]
  RowStepper(const StepArgs& args, Accum* scratch)
      : access_(args.table, scratch),
        scalars_(args),
        function_(step_function<Accum>(args.rule, args.table.num_states)),
        row_steps_(args.table.row_steps),
        counts_rows_(args.counts_rows),
        step_(args.numbers.step) {}

  void step(std::int64_t row, const Accum* grad) {
    std::int64_t step = step_;
    if (row_steps_ != nullptr) {
      step = counts_rows_ ? row_steps_[row] + 1 : step_;
      row_steps_[row] = step;
    }
    StepRow<Accum> opened = access_.open(row);
    opened.grad = grad;
    function_(scalars_.of(step), opened);
    access_.close(row, opened);
  }

  [[nodiscard]] std::int64_t rows_ahead() const { return access_.rows_ahead(); }
  [[gnu::always_inline]] void fetch(std::int64_t row) const { access_.fetch(row); }

 private:
  const RowAccess<ElemT> access_;
  ScalarsOfSteps<Accum> scalars_;
  const StepFunction<Accum> function_;
  std::int64_t* const row_steps_;
  const bool counts_rows_;
  const std::int64_t step_;
};

template <typename Accum>
void divide_row(Accum* row, std::int64_t count, std::int64_t dim) {
  const auto divisor = static_cast<Accum>(count);
  for_each_columns<Accum>(dim,
                          [&](auto columns) { columns.store(row, columns.load(row) / divisor); });
}

// Steps the row of each sum that is done.
template <typename ElemT>
class StepSink {
  using Accum = AccumOf<ElemT>;

 public:
  // scratch: AccumT [kStepScratchRows, dim]
  StepSink(const StepArgs& args, Accum* scratch)
      : stepper_(args, scratch + args.table.dim),
        sum_(scratch),
        dim_(args.table.dim),
        divides_by_count_(args.divides_by_count) {}

  std::int64_t begin_row(std::int64_t row) const { return row; }

  template <typename Summer>
  void finish_row(Summer& summer, std::int64_t begin, std::int64_t end, std::int64_t row) {
    const std::int64_t count = end - begin;
    if constexpr (std::is_same_v<ElemT, Accum>) {
      if (count == 1) {
        summer.fetch_ahead(begin);
        stepper_.step(row, summer.grad(begin));
        return;
      }
    }
    summer.sum_entries(begin, end, ScratchSink<ElemT>{sum_});
    step_by_sum(row, count);
  }

  void step_by_sum(std::int64_t row, std::int64_t count) {
    if (divides_by_count_ && count > 1) {
      divide_row(sum_, count, dim_);
    }
    stepper_.step(row, sum_);
  }

  [[nodiscard]] std::int64_t rows_ahead() const { return stepper_.rows_ahead(); }
  [[gnu::always_inline]] void fetch_row(std::int64_t row) {
    if (row != fetched_row_) {
      fetched_row_ = row;
      stepper_.fetch(row);
    }
  }

 private:
  RowStepper<ElemT> stepper_;
  Accum* const sum_;
  const std::int64_t dim_;
  const bool divides_by_count_;
  std::int64_t fetched_row_ = -1;
};

template <typename ElemT, typename Entry>
void step_share(const SumArgs<Entry>& sums, const StepArgs& args, SumShare& share) {
  auto* const scratch = static_cast<AccumOf<ElemT>*>(share.scratch);
  StepSink<ElemT> sink(args, scratch);
  ShareSummer<ElemT, Entry, StepSink<ElemT>>(sums, scratch, sink, sink.rows_ahead()).sum(share);
}

template <typename ElemT>
void finish_long_run(const SumTarget& target, const StepArgs& args, const LongRun& run,
                     void* scratch) {
  auto* const sum = static_cast<AccumOf<ElemT>*>(scratch);
  sum_chunks(target, run, 0, target.dim, sum);
  StepSink<ElemT>(args, sum).step_by_sum(run.out_row, run.count);
}

template <typename ElemT>
void step_rows(const StepArgs& args, const std::int64_t* rows, const void* values,
               std::int64_t begin, std::int64_t end, void* scratch) {
  using Accum = AccumOf<ElemT>;
  const std::int64_t dim = args.table.dim;
  auto* const widened = static_cast<Accum*>(scratch);
  RowStepper<ElemT> stepper(args, widened + dim);
  const std::int64_t ahead = stepper.rows_ahead();
  for (std::int64_t i = begin; i < end; ++i) {
    if (i + ahead < end) {
      stepper.fetch(rows[i + ahead]);
    }
    const ElemT* const value = static_cast<const ElemT*>(values) + i * dim;
    if constexpr (std::is_same_v<ElemT, Accum>) {
      stepper.step(rows[i], value);
    } else {
      widen_row(widened, value, dim);
      stepper.step(rows[i], widened);
    }
  }
}

template <typename ElemT>
constexpr ElemStepLoops kElemStepLoops{
    .step_share_32 = &step_share<ElemT, std::uint32_t>,
    .step_share_64 = &step_share<ElemT, std::uint64_t>,
    .finish_long_run = &finish_long_run<ElemT>,
    .step_rows = &step_rows<ElemT>,
    .catch_up_32 = &catch_up<ElemT, std::int32_t>,
    .catch_up_64 = &catch_up<ElemT, std::int64_t>,
};

}  // namespace

extern const StepLoops kStepLoops;
const StepLoops kStepLoops{
    .float_loops = kElemStepLoops<float>,
    .double_loops = kElemStepLoops<double>,
    .half_loops = kElemStepLoops<Half>,
    .bfloat16_loops = kElemStepLoops<BFloat16>,
};

}  // namespace rowlane::cpu::ROWLANE_ISA
