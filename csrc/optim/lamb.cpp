#include "rowlane/optim/lamb.h"

#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::LAMB";

const detail::RowRuleOf<LAMBOptions, LAMBParamState> kRule(
    kName, ops::StepRule::kLamb, detail::DenseGradients::kAllRows,
    [](const LAMBOptions& options) -> detail::StepSettings {
      return detail::adam_settings(options, /*is_decoupled=*/true);
    },
    [](LAMBParamState& state) -> std::vector<at::Tensor*> {
      return {&state.exp_avg(), &state.exp_avg_sq()};
    });

LAMBOptions checked(LAMBOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  detail::check_not_negative(kName, "weight_decay", options.weight_decay());
  return options;
}

}  // namespace

LAMBOptions::LAMBOptions(double lr) : lr_(lr) {}

LAMB::LAMB(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
           const LAMBOptions& defaults, const RowOptions& row_options)
    : OwnOptimizer(param_groups, checked(defaults), kRule, row_options) {}

LAMB::LAMB(std::vector<at::Tensor> params, const LAMBOptions& defaults,
           const RowOptions& row_options)
    : LAMB({torch::optim::OptimizerParamGroup(std::move(params))}, defaults, row_options) {}

}  // namespace rowlane::optim
