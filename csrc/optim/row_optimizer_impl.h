// The engine of row steps: one per optimizer, whatever the language that the optimizer is used in.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "csrc/optim/row_table.h"
#include "csrc/optim/step_settings.h"
#include "rowlane/optim/row_options.h"

namespace rowlane::optim::detail {

// Where an optimizer keeps what belongs to a table.
struct StateSlots {
  std::vector<at::Tensor*> tensors;   // in the order of state_names(), at least those that are kept
  std::int64_t* num_steps = nullptr;  // null if steps aren't counted there
};

// Its heirs are what an optimizer is in C++ (TorchOptimizer) and in Python (PythonOptimizer): they
// know the parameters, their groups' options and where states are kept.
class RowOptimizerImpl {
 public:
  // `name` begins the messages: "rowlane::optim::SGD".
  RowOptimizerImpl(std::string_view name, ops::StepRule rule, DenseGradients dense_gradients)
      : name_(name), rule_(rule), dense_gradients_(dense_gradients) {}
  RowOptimizerImpl(const RowOptimizerImpl&) = delete;
  RowOptimizerImpl& operator=(const RowOptimizerImpl&) = delete;
  virtual ~RowOptimizerImpl();

  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] ops::StepRule rule() const { return rule_; }
  [[nodiscard]] DenseGradients dense_gradients() const { return dense_gradients_; }

  // Of the table's parameter group, now.
  virtual StepSettings settings(const RowTable& table) = 0;
  // None if there is no state yet; with `make` it is made then.
  virtual StateSlots state(const RowTable& table, bool make) = 0;

  // Null if the parameter isn't a table.
  std::shared_ptr<RowTable> find_table(const at::Tensor& weight) const;
  // Brings all rows of all tables up to date.
  void flush();

  // In a backward pass: the gradients of a look-up in a fused table. When the pass ends, each table
  // takes a step by the sum of its own; if the pass throws, none does.
  void take_gradient(const std::shared_ptr<RowTable>& table, LookUpGradient gradient);

 protected:
  // Throws if the options contradict each other or the rule.
  void check_options(const RowOptions& options) const;
  // `position` among the optimizer's parameters.
  std::shared_ptr<RowTable> add_table(const at::Tensor& weight, std::int64_t position,
                                      const RowOptions& options);

 private:
  struct Backward;

  static void end_backward(Backward& backward);

  std::string name_;
  ops::StepRule rule_;
  DenseGradients dense_gradients_;
  std::unordered_map<const c10::TensorImpl*, std::shared_ptr<RowTable>> tables_;
  std::mutex backward_mutex_;  // a thread per GPU runs nodes of one backward pass
  std::weak_ptr<Backward> backward_;
};

}  // namespace rowlane::optim::detail
