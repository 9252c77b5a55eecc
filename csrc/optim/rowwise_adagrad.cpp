#include "rowlane/optim/rowwise_adagrad.h"

#include <memory>
#include <tuple>
#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::RowWiseAdagrad";

class RowWiseAdagradRule final
    : public detail::TypedRowRule<RowWiseAdagradOptions, RowWiseAdagradParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return kName; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kRowWiseAdagrad; }
  [[nodiscard]] detail::DenseGradients dense_gradients() const override {
    return detail::DenseGradients::kAllRows;
  }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const RowWiseAdagradOptions& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(), .weight_decay = options.weight_decay(), .eps = options.eps()};
  }
  std::vector<detail::StateSlot> slots_of(RowWiseAdagradParamState& state,
                                          const RowWiseAdagradOptions& options) const override {
    return {{&state.sum(), /*is_per_row=*/true, options.initial_accumulator_value()}};
  }
};

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

bool operator==(const RowWiseAdagradOptions& lhs, const RowWiseAdagradOptions& rhs) {
  return lhs.lr() == rhs.lr() && lhs.weight_decay() == rhs.weight_decay() &&
         lhs.initial_accumulator_value() == rhs.initial_accumulator_value() &&
         lhs.eps() == rhs.eps();
}

void RowWiseAdagradOptions::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(lr);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(weight_decay);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(initial_accumulator_value);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(eps);
}

void RowWiseAdagradOptions::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, lr);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, weight_decay);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, initial_accumulator_value);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, eps);
}

double RowWiseAdagradOptions::get_lr() const { return lr(); }

void RowWiseAdagradOptions::set_lr(double lr) { this->lr(lr); }

bool operator==(const RowWiseAdagradParamState& lhs, const RowWiseAdagradParamState& rhs) {
  return lhs.step() == rhs.step() && lhs.sum().equal(rhs.sum());
}

void RowWiseAdagradParamState::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(step);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(sum);
}

void RowWiseAdagradParamState::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(std::int64_t, step);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, sum);
}

RowWiseAdagrad::RowWiseAdagrad(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                               const RowWiseAdagradOptions& defaults, const RowOptions& row_options)
    : torch::optim::Optimizer(param_groups,
                              std::make_unique<RowWiseAdagradOptions>(checked(defaults))),
      RowOptimizer(*this, std::make_unique<RowWiseAdagradRule>(), row_options) {}

RowWiseAdagrad::RowWiseAdagrad(std::vector<at::Tensor> params,
                               const RowWiseAdagradOptions& defaults, const RowOptions& row_options)
    : RowWiseAdagrad({torch::optim::OptimizerParamGroup(std::move(params))}, defaults,
                     row_options) {}

at::Tensor RowWiseAdagrad::step(LossClosure closure) {
  return step_rows(closure, /*dense_step=*/nullptr);
}

void RowWiseAdagrad::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::serialize<RowWiseAdagradParamState, RowWiseAdagradOptions>(archive, *this);
}

void RowWiseAdagrad::load(torch::serialize::InputArchive& archive) {
  torch::optim::serialize<RowWiseAdagradParamState, RowWiseAdagradOptions>(archive, *this);
  load_rows(archive);
}

}  // namespace rowlane::optim
