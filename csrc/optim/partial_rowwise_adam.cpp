#include "rowlane/optim/partial_rowwise_adam.h"

#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::PartialRowWiseAdam";

const detail::RowRuleOf<PartialRowWiseAdamOptions, PartialRowWiseAdamParamState> kRule(
    kName, ops::StepRule::kPartialRowWiseAdam, detail::DenseGradients::kAllRows,
    [](const PartialRowWiseAdamOptions& options) -> detail::StepSettings {
      return detail::adam_settings(options, /*is_decoupled=*/true);
    },
    [](PartialRowWiseAdamParamState& state) -> std::vector<at::Tensor*> {
      return {&state.exp_avg(), &state.exp_avg_sq()};
    });

PartialRowWiseAdamOptions checked(PartialRowWiseAdamOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  detail::check_not_negative(kName, "weight_decay", options.weight_decay());
  return options;
}

}  // namespace

PartialRowWiseAdamOptions::PartialRowWiseAdamOptions(double lr) : lr_(lr) {}

PartialRowWiseAdam::PartialRowWiseAdam(
    const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
    const PartialRowWiseAdamOptions& defaults, const RowOptions& row_options)
    : OwnOptimizer(param_groups, checked(defaults), kRule, row_options) {}

PartialRowWiseAdam::PartialRowWiseAdam(std::vector<at::Tensor> params,
                                       const PartialRowWiseAdamOptions& defaults,
                                       const RowOptions& row_options)
    : PartialRowWiseAdam({torch::optim::OptimizerParamGroup(std::move(params))}, defaults,
                         row_options) {}

}  // namespace rowlane::optim
