// Adam's rule, for torch's Adam and AdamW, which differ in weight decay alone.
#pragma once

#include <string_view>
#include <tuple>
#include <vector>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim::detail {

template <typename Options, typename State>
class AdamRule : public TypedRowRule<Options, State> {
 public:
  AdamRule(std::string_view optimizer, bool is_decoupled)
      : optimizer_(optimizer), is_decoupled_(is_decoupled) {}
  [[nodiscard]] std::string_view optimizer() const override { return optimizer_; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kAdam; }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const Options& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(),
            .weight_decay = options.weight_decay(),
            .is_decoupled = is_decoupled_,
            .beta1 = std::get<0>(options.betas()),
            .beta2 = std::get<1>(options.betas()),
            .eps = options.eps()};
  }
  std::vector<StateSlot> slots_of(State& state, const Options& options) const override {
    std::vector<StateSlot> slots{{&state.exp_avg()}, {&state.exp_avg_sq()}};
    if (options.amsgrad()) {
      slots.push_back({&state.max_exp_avg_sq()});
    }
    return slots;
  }

 private:
  std::string_view optimizer_;
  bool is_decoupled_;
};

}  // namespace rowlane::optim::detail
