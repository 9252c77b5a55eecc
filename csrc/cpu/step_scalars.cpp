#include "csrc/cpu/loops/step_scalars.h"

#include <cmath>

#include "csrc/ops/step_rule.h"

namespace rowlane::cpu {

template <typename Accum>
StepScalars<Accum> step_scalars(ops::StepRule rule, const ops::StepNumbers& numbers,
                                std::int64_t step) {
  using kernels::DecayKind;
  using ops::StepRule;
  const ops::RuleTraits& traits = ops::rule_traits(rule);
  const auto t = static_cast<double>(step);
  const double bias1 = traits.has_moments ? 1 - std::pow(numbers.beta1, t) : 1;
  const double root2 = traits.has_moments ? std::sqrt(1 - std::pow(numbers.beta2, t)) : 1;
  const bool is_decoupled = numbers.is_decoupled && traits.decay == DecayKind::kOfGradient;
  const double decay = is_decoupled ? 1 - numbers.lr * numbers.weight_decay : 1;
  const double weight_decay =
      is_decoupled || traits.decay == DecayKind::kNone ? 0 : numbers.weight_decay;
  return {.lr = static_cast<Accum>(numbers.lr),
          .weight_decay = static_cast<Accum>(weight_decay),
          .decay = static_cast<Accum>(decay),
          .beta1 = static_cast<Accum>(numbers.beta1),
          .rest1 = static_cast<Accum>(1 - (rule == StepRule::kSgd ? numbers.beta2 : numbers.beta1)),
          .beta2 = static_cast<Accum>(numbers.beta2),
          .rest2 = static_cast<Accum>(1 - numbers.beta2),
          .eps = static_cast<Accum>(numbers.eps),
          .step_size =
              static_cast<Accum>(numbers.lr * (rule == StepRule::kSparseAdam ? root2 : 1) / bias1),
          .bias_correction = static_cast<Accum>(bias1),
          .bias_root = static_cast<Accum>(root2),
          .has_weight_decay = weight_decay != 0 && traits.decay == DecayKind::kOfGradient,
          .has_decay = decay != 1,
          .is_nesterov = numbers.is_nesterov,
          .is_first = step == 1};
}

template StepScalars<float> step_scalars<float>(ops::StepRule, const ops::StepNumbers&,
                                                std::int64_t);
template StepScalars<double> step_scalars<double>(ops::StepRule, const ops::StepNumbers&,
                                                  std::int64_t);

}  // namespace rowlane::cpu
