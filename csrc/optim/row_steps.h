// The steps of an optimizer whose parameters may be tables.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "csrc/optim/row_rule.h"
#include "csrc/optim/row_table.h"
#include "rowlane/optim/row_options.h"

namespace rowlane::optim::detail {

class RowSteps {
 public:
  // Throws if the options contradict each other or the rule.
  RowSteps(torch::optim::Optimizer& optimizer, std::unique_ptr<RowRule> rule,
           const RowOptions& options);
  RowSteps(const RowSteps&) = delete;
  RowSteps& operator=(const RowSteps&) = delete;
  ~RowSteps();

  [[nodiscard]] const RowOptions& options() const { return options_; }
  [[nodiscard]] const RowRule& rule() const { return *rule_; }
  [[nodiscard]] const torch::optim::OptimizerOptions& options_of(const RowTable& table) const;

  // The state of a parameter, or null.
  torch::optim::OptimizerParamState* find_state(const at::Tensor& weight);
  torch::optim::OptimizerParamState& add_state(
      const at::Tensor& weight, std::unique_ptr<torch::optim::OptimizerParamState> state);

  // See RowOptimizer.
  at::Tensor step(const torch::optim::Optimizer::LossClosure& closure,
                  const std::function<void()>& dense_step);
  void flush();
  std::shared_ptr<RowTable> table(const at::Tensor& weight);
  void save(torch::serialize::OutputArchive& archive);
  void load(torch::serialize::InputArchive& archive);

  // In a backward pass: the gradients of a look-up in a fused table. When the pass ends, each table
  // takes a step by the sum of its own; if the pass throws, none does.
  void take_gradient(const std::shared_ptr<RowTable>& table, LookUpGradient gradient);

 private:
  struct Backward;

  RowTable* find_table(const at::Tensor& weight) const;
  RowTable& add_table(const at::Tensor& weight, Position position);
  template <typename Function>
  void for_each_parameter(Function&& function) const;
  static void end_backward(Backward& backward);

  torch::optim::Optimizer& optimizer_;
  std::unique_ptr<RowRule> rule_;
  RowOptions options_;
  std::unordered_map<const c10::TensorImpl*, std::shared_ptr<RowTable>> tables_;
  std::mutex backward_mutex_;  // a thread per GPU runs nodes of one backward pass
  std::weak_ptr<Backward> backward_;
};

}  // namespace rowlane::optim::detail
