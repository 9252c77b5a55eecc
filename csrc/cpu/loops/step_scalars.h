// The scalars of one step, as its inner loops need them.
#pragma once

#include <cstdint>

#include "cuda/step_rule.h"

namespace rowlane::cpu {

// Computed in double and rounded once, like the scalars of torch's own optimizers.
template <typename Accum>
struct StepScalars {
  Accum lr;
  Accum weight_decay;  // what the gradient gets of w; LAMB: what r gets
  Accum decay;         // 1 - lr * weight_decay where that is decoupled, else 1
  Accum beta1;         // SGD: momentum
  Accum rest1;         // 1 - beta1; SGD: 1 - dampening
  Accum beta2;
  Accum rest2;  // 1 - beta2
  Accum eps;
  Accum step_size;        // lr, with the correction of the bias of m; kSparseAdam: of v, too
  Accum bias_correction;  // of m: 1 - beta1^t
  Accum bias_root;        // of v: sqrt(1 - beta2^t)
  bool has_weight_decay;
  bool has_decay;
  bool is_nesterov;
  bool is_first;  // t is 1
};

// For step t, which is `step`.
template <typename Accum>
StepScalars<Accum> step_scalars(kernels::StepRule rule, const kernels::StepNumbers& numbers,
                                std::int64_t step);

extern template StepScalars<float> step_scalars<float>(kernels::StepRule,
                                                       const kernels::StepNumbers&, std::int64_t);
extern template StepScalars<double> step_scalars<double>(kernels::StepRule,
                                                         const kernels::StepNumbers&, std::int64_t);

}  // namespace rowlane::cpu
