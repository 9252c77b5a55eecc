// The engine of an optimizer that is used from C++: one of torch::optim.
#pragma once

#include <torch/optim/optimizer.h>

#include <cstddef>
#include <functional>
#include <memory>

#include "csrc/optim/row_optimizer_impl.h"
#include "csrc/optim/row_rule.h"

namespace rowlane::optim::detail {

class TorchOptimizer final : public RowOptimizerImpl {
 public:
  // Throws if the options contradict each other or the rule.
  TorchOptimizer(torch::optim::Optimizer& optimizer, const RowRule& rule,
                 const RowOptions& options);

  [[nodiscard]] const RowOptions& options() const { return options_; }

  StepSettings settings(const RowTable& table) override;
  StateSlots state(const RowTable& table, bool make) override;

  // See RowOptimizer.
  at::Tensor step(const torch::optim::Optimizer::LossClosure& closure,
                  const std::function<void()>& dense_step);
  std::shared_ptr<RowTable> table(const at::Tensor& weight);
  void save(torch::serialize::OutputArchive& archive);
  void load(torch::serialize::InputArchive& archive);

 private:
  // function(parameter, position) of all parameters of all groups.
  template <typename Function>
  void for_each_parameter(Function&& function) const;

  torch::optim::Optimizer& optimizer_;
  const RowRule& rule_;
  RowOptions options_;
};

}  // namespace rowlane::optim::detail
