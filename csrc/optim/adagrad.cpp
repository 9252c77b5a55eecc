#include "rowlane/optim/adagrad.h"

#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

const detail::RowRuleOf<AdagradOptions, AdagradParamState> kRule(
    "rowlane::optim::Adagrad", ops::StepRule::kAdagrad, detail::DenseGradients::kTorch,
    [](const AdagradOptions& options) -> detail::StepSettings {
      return {.numbers = {.lr = options.lr(),
                          .weight_decay = options.weight_decay(),
                          .eps = options.eps()},
              .lr_decay = options.lr_decay(),
              .initial = options.initial_accumulator_value()};
    },
    [](AdagradParamState& state) -> std::vector<at::Tensor*> { return {&state.sum()}; });

}  // namespace

Adagrad::Adagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                 AdagradOptions defaults, const RowOptions& row_options)
    : WithRows(param_groups, std::move(defaults), kRule, row_options) {}

Adagrad::Adagrad(std::vector<at::Tensor> params, AdagradOptions defaults,
                 const RowOptions& row_options)
    : Adagrad({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
              row_options) {}

}  // namespace rowlane::optim
