#include "rowlane/optim/adamw.h"

#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

const detail::RowRuleOf<AdamWOptions, AdamWParamState> kRule(
    "rowlane::optim::AdamW", ops::StepRule::kAdam, detail::DenseGradients::kTorch,
    [](const AdamWOptions& options) -> detail::StepSettings {
      return detail::adam_settings(options, /*is_decoupled=*/true);
    },
    [](AdamWParamState& state) -> std::vector<at::Tensor*> {
      return {&state.exp_avg(), &state.exp_avg_sq(), &state.max_exp_avg_sq()};
    });

}  // namespace

AdamW::AdamW(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
             AdamWOptions defaults, const RowOptions& row_options)
    : WithRows(param_groups, std::move(defaults), kRule, row_options) {}

AdamW::AdamW(std::vector<at::Tensor> params, AdamWOptions defaults, const RowOptions& row_options)
    : AdamW({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
            row_options) {}

}  // namespace rowlane::optim
