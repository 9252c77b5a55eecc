#include "rowlane/optim/sgd.h"

#include <memory>
#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

class SGDRule final : public detail::TypedRowRule<SGDOptions, SGDParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return "rowlane::optim::SGD"; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kSgd; }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const SGDOptions& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(),
            .weight_decay = options.weight_decay(),
            .beta1 = options.momentum(),
            .beta2 = options.dampening(),
            .is_nesterov = options.nesterov()};
  }
  std::vector<detail::StateSlot> slots_of(SGDParamState& state,
                                          const SGDOptions& options) const override {
    if (options.momentum() == 0) {
      return {};
    }
    return {{&state.momentum_buffer()}};
  }
};

}  // namespace

SGD::SGD(const std::vector<torch::optim::OptimizerParamGroup>& param_groups, SGDOptions defaults,
         const RowOptions& row_options)
    : torch::optim::SGD(param_groups, std::move(defaults)),
      RowOptimizer(*this, std::make_unique<SGDRule>(), row_options) {}

SGD::SGD(std::vector<at::Tensor> params, SGDOptions defaults, const RowOptions& row_options)
    : SGD({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
          row_options) {}

at::Tensor SGD::step(LossClosure closure) {
  return step_rows(closure, [this] { torch::optim::SGD::step(); });
}

void SGD::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::SGD::save(archive);
}

void SGD::load(torch::serialize::InputArchive& archive) {
  torch::optim::SGD::load(archive);
  load_rows(archive);
}

}  // namespace rowlane::optim
