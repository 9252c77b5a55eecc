#include "csrc/optim/step_settings.h"

#include <array>

namespace rowlane::optim::detail {
namespace {

using Rule = ops::StepRule;

constexpr std::array<StateName, 1> kMomentum{{{"momentum_buffer"}}};
constexpr std::array<StateName, 1> kSum{{{"sum"}}};
constexpr std::array<StateName, 1> kSumPerRow{{{"sum", true}}};
constexpr std::array<StateName, 3> kMoments{{{"exp_avg"}, {"exp_avg_sq"}, {"max_exp_avg_sq"}}};
constexpr std::array<StateName, 2> kMomentsPerRow{{{"exp_avg"}, {"exp_avg_sq", true}}};

}  // namespace

std::span<const StateName> state_names(Rule rule) {
  switch (rule) {
    case Rule::kSgd:
      return kMomentum;
    case Rule::kAdagrad:
      return kSum;
    case Rule::kRowWiseAdagrad:
      return kSumPerRow;
    case Rule::kAdam:
      return kMoments;
    case Rule::kSparseAdam:
    case Rule::kLamb:
      return std::span(kMoments).first(2);
    case Rule::kPartialRowWiseAdam:
      return kMomentsPerRow;
  }
  TORCH_INTERNAL_ASSERT(false, "no such rule");
}

std::size_t num_states(Rule rule, const StepSettings& settings) {
  const ops::RuleTraits& traits = ops::rule_traits(rule);
  const bool has_extra = rule == Rule::kSgd ? settings.numbers.beta1 != 0 : settings.amsgrad;
  return static_cast<std::size_t>(traits.element_states + traits.row_states +
                                  (has_extra ? traits.extra_states : 0));
}

}  // namespace rowlane::optim::detail
