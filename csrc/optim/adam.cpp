#include "rowlane/optim/adam.h"

#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

const detail::RowRuleOf<AdamOptions, AdamParamState> kRule(
    "rowlane::optim::Adam", ops::StepRule::kAdam, detail::DenseGradients::kTorch,
    [](const AdamOptions& options) -> detail::StepSettings {
      return detail::adam_settings(options, /*is_decoupled=*/false);
    },
    [](AdamParamState& state) -> std::vector<at::Tensor*> {
      return {&state.exp_avg(), &state.exp_avg_sq(), &state.max_exp_avg_sq()};
    });

}  // namespace

Adam::Adam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups, AdamOptions defaults,
           const RowOptions& row_options)
    : WithRows(param_groups, std::move(defaults), kRule, row_options) {}

Adam::Adam(std::vector<at::Tensor> params, AdamOptions defaults, const RowOptions& row_options)
    : Adam({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
           row_options) {}

}  // namespace rowlane::optim
