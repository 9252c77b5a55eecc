#include "rowlane/optim/adagrad.h"

#include <memory>
#include <utility>

#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

class AdagradRule final : public detail::TypedRowRule<AdagradOptions, AdagradParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return "rowlane::optim::Adagrad"; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kAdagrad; }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const AdagradOptions& options,
                                            std::int64_t step) const override {
    return {.lr = options.lr() / (1 + static_cast<double>(step - 1) * options.lr_decay()),
            .weight_decay = options.weight_decay(),
            .eps = options.eps()};
  }
  std::vector<detail::StateSlot> slots_of(AdagradParamState& state,
                                          const AdagradOptions& options) const override {
    return {{&state.sum(), /*is_per_row=*/false, options.initial_accumulator_value()}};
  }
};

}  // namespace

Adagrad::Adagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                 AdagradOptions defaults, const RowOptions& row_options)
    : torch::optim::Adagrad(param_groups, std::move(defaults)),
      RowOptimizer(*this, std::make_unique<AdagradRule>(), row_options) {}

Adagrad::Adagrad(std::vector<at::Tensor> params, AdagradOptions defaults,
                 const RowOptions& row_options)
    : Adagrad({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
              row_options) {}

at::Tensor Adagrad::step(LossClosure closure) {
  return step_rows(closure, [this] { torch::optim::Adagrad::step(); });
}

void Adagrad::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::Adagrad::save(archive);
}

void Adagrad::load(torch::serialize::InputArchive& archive) {
  torch::optim::Adagrad::load(archive);
  load_rows(archive);
}

}  // namespace rowlane::optim
