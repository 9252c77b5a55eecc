#include "rowlane/optim/adam.h"

#include <memory>
#include <utility>

#include "csrc/optim/adam_rule.h"

namespace rowlane::optim {
namespace {

class AdamRule final : public detail::AdamRule<AdamOptions, AdamParamState> {
 public:
  AdamRule() : detail::AdamRule<AdamOptions, AdamParamState>("rowlane::optim::Adam", false) {}
};

}  // namespace

Adam::Adam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups, AdamOptions defaults,
           const RowOptions& row_options)
    : torch::optim::Adam(param_groups, std::move(defaults)),
      RowOptimizer(*this, std::make_unique<AdamRule>(), row_options) {}

Adam::Adam(std::vector<at::Tensor> params, AdamOptions defaults, const RowOptions& row_options)
    : Adam({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
           row_options) {}

at::Tensor Adam::step(LossClosure closure) {
  return step_rows(closure, [this] { torch::optim::Adam::step(); });
}

void Adam::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::Adam::save(archive);
}

void Adam::load(torch::serialize::InputArchive& archive) {
  torch::optim::Adam::load(archive);
  load_rows(archive);
}

}  // namespace rowlane::optim
