#include "rowlane/optim/lamb.h"

#include <memory>
#include <tuple>
#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::LAMB";

class LAMBRule final : public detail::TypedRowRule<LAMBOptions, LAMBParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return kName; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kLamb; }
  [[nodiscard]] detail::DenseGradients dense_gradients() const override {
    return detail::DenseGradients::kAllRows;
  }
  // A layer's norm is that of the whole bias.
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> shape(
      const at::Tensor& weight) const override {
    if (weight.dim() < 2) {
      return {1, weight.numel()};
    }
    return RowRule::shape(weight);
  }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const LAMBOptions& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(),
            .weight_decay = options.weight_decay(),
            .beta1 = std::get<0>(options.betas()),
            .beta2 = std::get<1>(options.betas()),
            .eps = options.eps()};
  }
  std::vector<detail::StateSlot> slots_of(LAMBParamState& state,
                                          const LAMBOptions& /*options*/) const override {
    return {{&state.exp_avg()}, {&state.exp_avg_sq()}};
  }
};

LAMBOptions checked(LAMBOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  detail::check_not_negative(kName, "weight_decay", options.weight_decay());
  return options;
}

}  // namespace

LAMBOptions::LAMBOptions(double lr) : lr_(lr) {}

bool operator==(const LAMBOptions& lhs, const LAMBOptions& rhs) {
  return lhs.lr() == rhs.lr() && lhs.betas() == rhs.betas() && lhs.eps() == rhs.eps() &&
         lhs.weight_decay() == rhs.weight_decay();
}

void LAMBOptions::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(lr);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(betas);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(eps);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(weight_decay);
}

void LAMBOptions::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, lr);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(betas_t, betas);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, eps);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, weight_decay);
}

double LAMBOptions::get_lr() const { return lr(); }

void LAMBOptions::set_lr(double lr) { this->lr(lr); }

bool operator==(const LAMBParamState& lhs, const LAMBParamState& rhs) {
  return lhs.step() == rhs.step() && lhs.exp_avg().equal(rhs.exp_avg()) &&
         lhs.exp_avg_sq().equal(rhs.exp_avg_sq());
}

void LAMBParamState::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(step);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg_sq);
}

void LAMBParamState::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(std::int64_t, step);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg_sq);
}

LAMB::LAMB(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
           const LAMBOptions& defaults, const RowOptions& row_options)
    : torch::optim::Optimizer(param_groups, std::make_unique<LAMBOptions>(checked(defaults))),
      RowOptimizer(*this, std::make_unique<LAMBRule>(), row_options) {}

LAMB::LAMB(std::vector<at::Tensor> params, const LAMBOptions& defaults,
           const RowOptions& row_options)
    : LAMB({torch::optim::OptimizerParamGroup(std::move(params))}, defaults, row_options) {}

at::Tensor LAMB::step(LossClosure closure) { return step_rows(closure, /*dense_step=*/nullptr); }

void LAMB::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::serialize<LAMBParamState, LAMBOptions>(archive, *this);
}

void LAMB::load(torch::serialize::InputArchive& archive) {
  torch::optim::serialize<LAMBParamState, LAMBOptions>(archive, *this);
  load_rows(archive);
}

}  // namespace rowlane::optim
