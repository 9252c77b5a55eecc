#include "rowlane/optim/sparse_adam.h"

#include <memory>
#include <tuple>
#include <utility>

#include "csrc/optim/check_options.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim {
namespace {

constexpr const char* kName = "rowlane::optim::SparseAdam";

class SparseAdamRule final : public detail::TypedRowRule<SparseAdamOptions, SparseAdamParamState> {
 public:
  [[nodiscard]] std::string_view optimizer() const override { return kName; }
  [[nodiscard]] ops::StepRule step_rule() const override { return ops::StepRule::kSparseAdam; }
  [[nodiscard]] detail::DenseGradients dense_gradients() const override {
    return detail::DenseGradients::kRefused;
  }

 protected:
  [[nodiscard]] ops::StepNumbers numbers_of(const SparseAdamOptions& options,
                                            std::int64_t /*step*/) const override {
    return {.lr = options.lr(),
            .beta1 = std::get<0>(options.betas()),
            .beta2 = std::get<1>(options.betas()),
            .eps = options.eps()};
  }
  std::vector<detail::StateSlot> slots_of(SparseAdamParamState& state,
                                          const SparseAdamOptions& /*options*/) const override {
    return {{&state.exp_avg()}, {&state.exp_avg_sq()}};
  }
};

SparseAdamOptions checked(SparseAdamOptions options) {
  detail::check_not_negative(kName, "lr", options.lr());
  detail::check_betas(kName, options.betas());
  detail::check_not_negative(kName, "eps", options.eps());
  return options;
}

}  // namespace

SparseAdamOptions::SparseAdamOptions(double lr) : lr_(lr) {}

bool operator==(const SparseAdamOptions& lhs, const SparseAdamOptions& rhs) {
  return lhs.lr() == rhs.lr() && lhs.betas() == rhs.betas() && lhs.eps() == rhs.eps();
}

void SparseAdamOptions::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(lr);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(betas);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(eps);
}

void SparseAdamOptions::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, lr);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(betas_t, betas);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(double, eps);
}

double SparseAdamOptions::get_lr() const { return lr(); }

void SparseAdamOptions::set_lr(double lr) { this->lr(lr); }

bool operator==(const SparseAdamParamState& lhs, const SparseAdamParamState& rhs) {
  return lhs.step() == rhs.step() && lhs.exp_avg().equal(rhs.exp_avg()) &&
         lhs.exp_avg_sq().equal(rhs.exp_avg_sq());
}

void SparseAdamParamState::serialize(torch::serialize::OutputArchive& archive) const {
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(step);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg);
  _TORCH_OPTIM_SERIALIZE_TORCH_ARG(exp_avg_sq);
}

void SparseAdamParamState::serialize(torch::serialize::InputArchive& archive) {
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(std::int64_t, step);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg);
  _TORCH_OPTIM_DESERIALIZE_TORCH_ARG(at::Tensor, exp_avg_sq);
}

SparseAdam::SparseAdam(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
                       const SparseAdamOptions& defaults, const RowOptions& row_options)
    : torch::optim::Optimizer(param_groups, std::make_unique<SparseAdamOptions>(checked(defaults))),
      RowOptimizer(*this, std::make_unique<SparseAdamRule>(), row_options) {}

SparseAdam::SparseAdam(std::vector<at::Tensor> params, const SparseAdamOptions& defaults,
                       const RowOptions& row_options)
    : SparseAdam({torch::optim::OptimizerParamGroup(std::move(params))}, defaults, row_options) {}

at::Tensor SparseAdam::step(LossClosure closure) {
  return step_rows(closure, /*dense_step=*/nullptr);
}

void SparseAdam::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::serialize<SparseAdamParamState, SparseAdamOptions>(archive, *this);
}

void SparseAdam::load(torch::serialize::InputArchive& archive) {
  torch::optim::serialize<SparseAdamParamState, SparseAdamOptions>(archive, *this);
  load_rows(archive);
}

}  // namespace rowlane::optim
