#include "csrc/optim/row_optimizer_impl.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <utility>

namespace rowlane::optim::detail {

// What a backward pass has brought so far.
struct RowOptimizerImpl::Backward {
  int id;
  std::vector<std::shared_ptr<RowTable>> tables;  // of each look-up
  std::vector<LookUpGradient> look_ups;
};

RowOptimizerImpl::~RowOptimizerImpl() {
  for (const auto& [weight, table] : tables_) {
    table->lose_owner();
  }
}

void RowOptimizerImpl::check_options(const RowOptions& options) const {
  if (options.semantics() == RowSemantics::kDenseEquivalent) {
    TORCH_CHECK_VALUE(dense_gradients_ == DenseGradients::kTorch, name_,
                      ": semantics must be lazy: torch has no dense optimizer of this rule that "
                      "dense_equivalent could equal");
    TORCH_CHECK_VALUE(!options.per_row_steps(), name_,
                      ": per_row_steps must be false with dense_equivalent, in which every row "
                      "takes every step");
  }
  TORCH_CHECK_VALUE(!options.stochastic_rounding() || !options.master_weights(), name_,
                    ": stochastic_rounding must be false with master_weights, which lose nothing "
                    "when the table is rounded");
}

std::shared_ptr<RowTable> RowOptimizerImpl::find_table(const at::Tensor& weight) const {
  const auto found = tables_.find(weight.unsafeGetTensorImpl());
  return found == tables_.end() ? nullptr : found->second;
}

std::shared_ptr<RowTable> RowOptimizerImpl::add_table(const at::Tensor& weight,
                                                      std::int64_t position,
                                                      const RowOptions& options) {
  return tables_[weight.unsafeGetTensorImpl()] =
             std::make_shared<RowTable>(*this, weight, position, options);
}

void RowOptimizerImpl::flush() {
  std::vector<RowTable*> tables;
  for (const auto& [weight, table] : tables_) {
    tables.push_back(table.get());
  }
  // In the order of the parameters, so that random numbers are the same in every run.
  std::ranges::sort(tables, {}, &RowTable::position);
  for (RowTable* table : tables) {
    table->flush();
  }
}

void RowOptimizerImpl::take_gradient(const std::shared_ptr<RowTable>& table,
                                     LookUpGradient gradient) {
  table->check_may_step_fused();
  const std::scoped_lock lock(backward_mutex_);
  std::shared_ptr<Backward> backward = backward_.lock();
  const int id = torch::autograd::get_current_graph_task_id();
  if (backward == nullptr || backward->id != id) {
    // The pass itself owns it, so it goes when the pass fails.
    backward = std::make_shared<Backward>();
    backward->id = id;
    backward_ = backward;
    torch::autograd::Engine::get_default_engine().queue_callback(
        [backward] { end_backward(*backward); });
  }
  backward->tables.push_back(table);
  backward->look_ups.push_back(std::move(gradient));
}

void RowOptimizerImpl::end_backward(Backward& backward) {
  const at::NoGradGuard no_grad;
  // In the order of the parameters, as step() has it, so that random numbers are the same.
  std::vector<std::shared_ptr<RowTable>> tables = backward.tables;
  std::ranges::sort(tables, {}, [](const auto& table) { return table->position(); });
  tables.erase(std::ranges::unique(tables).begin(), tables.end());
  std::vector<std::vector<LookUpGradient>> look_ups;
  for (const auto& table : tables) {
    std::vector<LookUpGradient>& of_table = look_ups.emplace_back();
    for (std::size_t i = 0; i < backward.tables.size(); ++i) {
      if (backward.tables[i] == table) {
        of_table.push_back(std::move(backward.look_ups[i]));
      }
    }
    table->check_look_ups(of_table);
  }
  for (std::size_t i = 0; i < tables.size(); ++i) {
    tables[i]->step(look_ups[i]);
  }
}

}  // namespace rowlane::optim::detail
