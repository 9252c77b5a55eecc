// How the options and states of one of torch's optimizers, or of ours, are those of a step of rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "csrc/ops/row_step.h"

namespace rowlane::optim::detail {

// What an optimizer does with a dense gradient of a parameter that isn't a table.
enum class DenseGradients : std::uint8_t {
  kTorch,    // torch's own step
  kAllRows,  // a step of rows, of all of them
  kRefused,
};

// A tensor of a parameter's state.
struct StateSlot {
  at::Tensor* tensor;
  bool is_per_row = false;  // [V] instead of the parameter's shape
  double initial = 0;
};

class RowRule {
 public:
  RowRule() = default;
  RowRule(const RowRule&) = delete;
  RowRule& operator=(const RowRule&) = delete;
  virtual ~RowRule() = default;

  // Begins the messages: "rowlane::optim::SGD".
  [[nodiscard]] virtual std::string_view optimizer() const = 0;
  [[nodiscard]] virtual ops::StepRule step_rule() const = 0;
  [[nodiscard]] virtual DenseGradients dense_gradients() const { return DenseGradients::kTorch; }
  [[nodiscard]] virtual ops::StepNumbers numbers(const torch::optim::OptimizerOptions& options,
                                                 std::int64_t step) const = 0;
  [[nodiscard]] virtual std::unique_ptr<torch::optim::OptimizerParamState> make_state() const = 0;
  // In the order in which the ops take them.
  virtual std::vector<StateSlot> slots(torch::optim::OptimizerParamState& state,
                                       const torch::optim::OptimizerOptions& options) const = 0;
  // Where the state counts its steps; null if it doesn't, and the first step is the one that makes
  // the tensors.
  virtual std::int64_t* step_count(torch::optim::OptimizerParamState& state) const = 0;
  // The parameter as a table [V, D]. A row per entry of the first dimension.
  [[nodiscard]] virtual std::pair<std::int64_t, std::int64_t> shape(
      const at::Tensor& weight) const {
    const std::int64_t num_rows = weight.dim() == 0 ? 1 : weight.size(0);
    return {num_rows, num_rows == 0 ? 0 : weight.numel() / num_rows};
  }
};

// The casts. Options and State are torch's, or in its manner.
template <typename Options, typename State>
class TypedRowRule : public RowRule {
 public:
  [[nodiscard]] ops::StepNumbers numbers(const torch::optim::OptimizerOptions& options,
                                         std::int64_t step) const override {
    ops::StepNumbers numbers = numbers_of(static_cast<const Options&>(options), step);
    numbers.step = step;
    return numbers;
  }
  [[nodiscard]] std::unique_ptr<torch::optim::OptimizerParamState> make_state() const override {
    return std::make_unique<State>();
  }
  std::vector<StateSlot> slots(torch::optim::OptimizerParamState& state,
                               const torch::optim::OptimizerOptions& options) const override {
    return slots_of(static_cast<State&>(state), static_cast<const Options&>(options));
  }
  std::int64_t* step_count(torch::optim::OptimizerParamState& state) const override {
    if constexpr (requires(State & typed) { typed.step(); }) {
      return &static_cast<State&>(state).step();
    } else {
      return nullptr;
    }
  }

 protected:
  // Without the step.
  [[nodiscard]] virtual ops::StepNumbers numbers_of(const Options& options,
                                                    std::int64_t step) const = 0;
  virtual std::vector<StateSlot> slots_of(State& state, const Options& options) const = 0;
};

}  // namespace rowlane::optim::detail
