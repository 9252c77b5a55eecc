// How one of torch's optimizers, or one of ours in torch's manner, keeps what steps of rows need.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

#include "csrc/optim/step_settings.h"

namespace rowlane::optim::detail {

class RowRule {
 public:
  // `name` begins the messages: "rowlane::optim::SGD".
  RowRule(std::string_view name, ops::StepRule rule, DenseGradients dense_gradients)
      : name_(name), rule_(rule), dense_gradients_(dense_gradients) {}
  RowRule(const RowRule&) = delete;
  RowRule& operator=(const RowRule&) = delete;
  virtual ~RowRule() = default;

  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] ops::StepRule rule() const { return rule_; }
  [[nodiscard]] DenseGradients dense_gradients() const { return dense_gradients_; }

  [[nodiscard]] virtual StepSettings settings(
      const torch::optim::OptimizerOptions& options) const = 0;
  [[nodiscard]] virtual std::unique_ptr<torch::optim::OptimizerParamState> make_state() const = 0;
  // In the order of state_names().
  virtual std::vector<at::Tensor*> tensors(torch::optim::OptimizerParamState& state) const = 0;
  // Where the state counts its steps; null if it doesn't.
  virtual std::int64_t* step_count(torch::optim::OptimizerParamState& state) const = 0;

 private:
  std::string_view name_;
  ops::StepRule rule_;
  DenseGradients dense_gradients_;
};

// Options and State are torch's, or in its manner.
template <typename Options, typename State>
class RowRuleOf final : public RowRule {
 public:
  using Settings = StepSettings (*)(const Options& options);
  using Tensors = std::vector<at::Tensor*> (*)(State& state);

  RowRuleOf(std::string_view name, ops::StepRule rule, DenseGradients dense_gradients,
            Settings settings, Tensors tensors)
      : RowRule(name, rule, dense_gradients), settings_(settings), tensors_(tensors) {}

  [[nodiscard]] StepSettings settings(
      const torch::optim::OptimizerOptions& options) const override {
    return settings_(static_cast<const Options&>(options));
  }
  [[nodiscard]] std::unique_ptr<torch::optim::OptimizerParamState> make_state() const override {
    return std::make_unique<State>();
  }
  std::vector<at::Tensor*> tensors(torch::optim::OptimizerParamState& state) const override {
    return tensors_(static_cast<State&>(state));
  }
  std::int64_t* step_count(torch::optim::OptimizerParamState& state) const override {
    if constexpr (requires(State & typed) { typed.step(); }) {
      return &static_cast<State&>(state).step();
    } else {
      return nullptr;
    }
  }

 private:
  Settings settings_;
  Tensors tensors_;
};

// Of options that have betas and eps, and perhaps weight_decay and amsgrad.
template <typename Options>
StepSettings adam_settings(const Options& options, bool is_decoupled) {
  StepSettings settings{.numbers = {.lr = options.lr(),
                                    .is_decoupled = is_decoupled,
                                    .beta1 = std::get<0>(options.betas()),
                                    .beta2 = std::get<1>(options.betas()),
                                    .eps = options.eps()}};
  if constexpr (requires { options.weight_decay(); }) {
    settings.numbers.weight_decay = options.weight_decay();
  }
  if constexpr (requires { options.amsgrad(); }) {
    settings.amsgrad = options.amsgrad();
  }
  return settings;
}

}  // namespace rowlane::optim::detail
