#include "rowlane/optim/sgd.h"

#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

const detail::RowRuleOf<SGDOptions, SGDParamState> kRule(
    "rowlane::optim::SGD", ops::StepRule::kSgd, detail::DenseGradients::kTorch,
    [](const SGDOptions& options) -> detail::StepSettings {
      return {.numbers = {.lr = options.lr(),
                          .weight_decay = options.weight_decay(),
                          .beta1 = options.momentum(),
                          .beta2 = options.dampening(),
                          .is_nesterov = options.nesterov()}};
    },
    [](SGDParamState& state) -> std::vector<at::Tensor*> { return {&state.momentum_buffer()}; });

}  // namespace

SGD::SGD(const std::vector<torch::optim::OptimizerParamGroup>& param_groups, SGDOptions defaults,
         const RowOptions& row_options)
    : WithRows(param_groups, std::move(defaults), kRule, row_options) {}

SGD::SGD(std::vector<at::Tensor> params, SGDOptions defaults, const RowOptions& row_options)
    : SGD({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
          row_options) {}

}  // namespace rowlane::optim
