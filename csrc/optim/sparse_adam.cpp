#include "rowlane/optim/sparse_adam.h"

#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::SparseAdam";

const detail::RowRuleOf<SparseAdamOptions, SparseAdamParamState> kRule(
    kName, ops::StepRule::kSparseAdam, detail::DenseGradients::kRefused,
    [](const SparseAdamOptions& options) -> detail::StepSettings {
      return detail::adam_settings(options, /*is_decoupled=*/false);
    },
    [](SparseAdamParamState& state) -> std::vector<at::Tensor*> {
      return {&state.exp_avg(), &state.exp_avg_sq()};
    });

SparseAdamOptions checked(SparseAdamOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  return options;
}

}  // namespace

SparseAdamOptions::SparseAdamOptions(double lr) : lr_(lr) {}

SparseAdam::SparseAdam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                       const SparseAdamOptions& defaults, const RowOptions& row_options)
    : OwnOptimizer(param_groups, checked(defaults), kRule, row_options) {}

SparseAdam::SparseAdam(std::vector<at::Tensor> params, const SparseAdamOptions& defaults,
                       const RowOptions& row_options)
    : SparseAdam({torch::optim::OptimizerParamGroup(std::move(params))}, defaults, row_options) {}

}  // namespace rowlane::optim
