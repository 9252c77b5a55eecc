#include "rowlane/optim/rowwise_adagrad.h"

#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::RowWiseAdagrad";

const detail::RowRuleOf<RowWiseAdagradOptions, RowWiseAdagradParamState> kRule(
    kName, ops::StepRule::kRowWiseAdagrad, detail::DenseGradients::kAllRows,
    [](const RowWiseAdagradOptions& options) -> detail::StepSettings {
      return {.numbers = {.lr = options.lr(),
                          .weight_decay = options.weight_decay(),
                          .eps = options.eps()},
              .initial = options.initial_accumulator_value()};
    },
    [](RowWiseAdagradParamState& state) -> std::vector<at::Tensor*> { return {&state.sum()}; });

RowWiseAdagradOptions checked(RowWiseAdagradOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_not_negative(kName, "weight_decay", options.weight_decay());
  detail::check_not_negative(kName, "initial_accumulator_value",
                             options.initial_accumulator_value());
  detail::check_not_negative(kName, "eps", options.eps());
  return options;
}

}  // namespace

RowWiseAdagradOptions::RowWiseAdagradOptions(double lr) : lr_(lr) {}

RowWiseAdagrad::RowWiseAdagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                               const RowWiseAdagradOptions& defaults, const RowOptions& row_options)
    : OwnOptimizer(param_groups, checked(defaults), kRule, row_options) {}

RowWiseAdagrad::RowWiseAdagrad(std::vector<at::Tensor> params,
                               const RowWiseAdagradOptions& defaults, const RowOptions& row_options)
    : RowWiseAdagrad({torch::optim::OptimizerParamGroup(std::move(params))}, defaults,
                     row_options) {}

}  // namespace rowlane::optim
