#include "rowlane/optim/partial_rowwise_adam.h"

#include <memory>
#include <tuple>
#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::PartialRowWiseAdam";

class PartialRowWiseAdamRule final
    : public detail::TypedRowRule<PartialRowWiseAdamOptions, PartialRowWiseAdamParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return kName; }
  [[nodiscard]] ops::StepRule step_rule() const override {
    return ops::StepRule::kPartialRowWiseAdam;
  }
  [[nodiscard]] detail::DenseGradients dense_gradients() const override {
    return detail::DenseGradients::kAllRows;
  }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const PartialRowWiseAdamOptions& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(),
            .weight_decay = options.weight_decay(),
            .is_decoupled = true,
            .beta1 = std::get<0>(options.betas()),
            .beta2 = std::get<1>(options.betas()),
            .eps = options.eps()};
  }
  std::vector<detail::StateSlot> slots_of(
      PartialRowWiseAdamParamState& state,
      const PartialRowWiseAdamOptions& /*options*/) const override {
    return {{&state.exp_avg()}, {&state.exp_avg_sq(), /*is_per_row=*/true}};
  }
};

PartialRowWiseAdamOptions checked(PartialRowWiseAdamOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  detail::check_not_negative(kName, "weight_decay", options.weight_decay());
  return options;
}

}  // namespace

PartialRowWiseAdamOptions::PartialRowWiseAdamOptions(double lr) : lr_(lr) {}

bool operator==(const PartialRowWiseAdamOptions& lhs, const PartialRowWiseAdamOptions& rhs) {
  return lhs.lr() == rhs.lr() && lhs.betas() == rhs.betas() && lhs.eps() == rhs.eps() &&
         lhs.weight_decay() == rhs.weight_decay();
}

void PartialRowWiseAdamOptions::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(lr);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(betas);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(eps);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(weight_decay);
}

void PartialRowWiseAdamOptions::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, lr);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(betas_t, betas);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, eps);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, weight_decay);
}

double PartialRowWiseAdamOptions::get_lr() const { return lr(); }

void PartialRowWiseAdamOptions::set_lr(double lr) { this->lr(lr); }

bool operator==(const PartialRowWiseAdamParamState& lhs, const PartialRowWiseAdamParamState& rhs) {
  return lhs.step() == rhs.step() && lhs.exp_avg().equal(rhs.exp_avg()) &&
         lhs.exp_avg_sq().equal(rhs.exp_avg_sq());
}

void PartialRowWiseAdamParamState::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(step);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg_sq);
}

void PartialRowWiseAdamParamState::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(std::int64_t, step);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg_sq);
}

PartialRowWiseAdam::PartialRowWiseAdam(
    const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
    const PartialRowWiseAdamOptions& defaults, const RowOptions& row_options)
    : torch::optim::Optimizer(param_groups,
                              std::make_unique<PartialRowWiseAdamOptions>(checked(defaults))),
      RowOptimizer(*this, std::make_unique<PartialRowWiseAdamRule>(), row_options) {}

PartialRowWiseAdam::PartialRowWiseAdam(std::vector<at::Tensor> params,
                                       const PartialRowWiseAdamOptions& defaults,
                                       const RowOptions& row_options)
    : PartialRowWiseAdam({torch::optim::OptimizerParamGroup(std::move(params))}, defaults,
                         row_options) {}

at::Tensor PartialRowWiseAdam::step(LossClosure closure) {
  return step_rows(closure, /*dense_step=*/nullptr);
}

void PartialRowWiseAdam::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::serialize<PartialRowWiseAdamParamState, PartialRowWiseAdamOptions>(archive, *this);
}

void PartialRowWiseAdam::load(torch::serialize::InputArchive& archive) {
  torch::optim::serialize<PartialRowWiseAdamParamState, PartialRowWiseAdamOptions>(archive, *this);
  load_rows(archive);
}

}  // namespace rowlane::optim
