// The inner loops of the optimizers' steps, compiled once per instruction set like loops.h.
#pragma once

#include <cstdint>

#include "csrc/cpu/loops/loops.h"
#include "csrc/cpu/loops/step_scalars.h"
#include "cuda/step_rule.h"

namespace rowlane::cpu {

// A table and what its optimizer keeps for it.
struct StepTable {
  void* weight;    // ElemT [V, dim]
  float* master;   // [V, dim], or null: `weight` is a rounded copy of it
  void* state[3];  // of AccumT, or all but one per row of ElemT; [V, dim], or the last [V]
  int num_states;
  bool last_is_per_row;
  bool state_is_wide;       // AccumT
  std::int64_t* row_steps;  // [V], or null
  std::int64_t dim;         // at least 1
  bool rounds_at_random;    // a 16-bit `weight`, by the bits of cuda/rounding.h
  std::uint64_t seed;
};

struct StepArgs {
  StepTable table;
  kernels::StepRule rule;
  kernels::StepNumbers numbers;
  bool counts_rows;  // t is the row's own, one more than row_steps
  bool divides_by_count;
};

// Rows of AccumT [dim] that a thread needs as scratch memory for steps.
inline constexpr std::int64_t kStepScratchRows = 6;

// What is left for w and its state after steps of gradient zero.
struct LinearSteps {
  double weight_from_weight;
  double weight_from_state;
  double state_from_weight;
  double state_from_state;
};

// What is known of the steps from one on to the last.
struct RestOfSteps {
  double largest_step_size;  // infinity where a step that seems to be the last one to change w may
                             // not be
  double decay;              // products
  double beta1;
  double beta2;
};

enum class CatchUp : std::uint8_t {
  kNothing,           // w and the state stay
  kScale,             // w by LinearSteps::weight_from_weight; the state stays
  kLinear,            // w and its one state, by LinearSteps
  kReplay,            // step by step
  kReplayUntilStill,  // step by step until no later step changes a bit of w, then by RestOfSteps
};

// Takes the steps (row_steps[row], last_step]. The lists begin with the step first_step.
struct CatchUpArgs {
  StepTable table;
  kernels::StepRule rule;
  CatchUp how;
  std::int64_t first_step;
  std::int64_t last_step;
  const LinearSteps* linear;  // [last_step - first_step + 2]: that step and all that follow
  const void* scalars;        // StepScalars<AccumT> [last_step - first_step + 1]
  const RestOfSteps* rest;    // [last_step - first_step + 2]
  bool prefetches;
};

struct ElemStepLoops {
  // Sums a share's gradients, and steps each row when its sum is done. share.scratch: AccumT
  // [kStepScratchRows, dim]
  void (*step_share_32)(const SumArgs<std::uint32_t>&, const StepArgs&, SumShare&);
  void (*step_share_64)(const SumArgs<std::uint64_t>&, const StepArgs&, SumShare&);
  void (*finish_long_run)(const SumTarget&, const StepArgs&, const LongRun&, void* scratch);
  // By rows [begin, end) of values, ElemT [*, dim]
  void (*step_rows)(const StepArgs&, const std::int64_t* rows, const void* values,
                    std::int64_t begin, std::int64_t end, void* scratch);
  // The rows of indices [begin, end), each once, whichever thread comes first; with null, the rows
  // [begin, end) themselves.
  void (*catch_up_32)(const CatchUpArgs&, const std::int32_t* indices, std::int64_t begin,
                      std::int64_t end, void* scratch);
  void (*catch_up_64)(const CatchUpArgs&, const std::int64_t* indices, std::int64_t begin,
                      std::int64_t end, void* scratch);
};

struct StepLoops {
  ElemStepLoops float_loops;
  ElemStepLoops double_loops;
  ElemStepLoops half_loops;
  ElemStepLoops bfloat16_loops;
};

}  // namespace rowlane::cpu
