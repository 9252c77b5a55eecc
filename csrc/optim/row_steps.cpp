#include "csrc/optim/row_steps.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace rowlane::optim::detail {
namespace {

constexpr const char* kArchiveKey = "rowlane_rows";

void check_options(const RowRule& rule, const RowOptions& options) {
  const std::string_view optimizer = rule.optimizer();
  if (options.semantics() == RowSemantics::kDenseEquivalent) {
    TORCH_CHECK_VALUE(rule.dense_gradients() == DenseGradients::kTorch, optimizer,
                      ": semantics must be kLazy: torch has no dense optimizer of this rule that "
                      "kDenseEquivalent could equal");
    TORCH_CHECK_VALUE(
        !options.per_row_steps(), optimizer,
        ": per_row_steps must be false with kDenseEquivalent, in which every row takes "
        "every step");
  }
  TORCH_CHECK_VALUE(!options.stochastic_rounding() || !options.master_weights(), optimizer,
                    ": stochastic_rounding must be false with master_weights, which lose nothing "
                    "when the table is rounded");
}

// Takes gradients away from torch's own step, and gives them back.
class HiddenGradients {
 public:
  HiddenGradients() = default;
  HiddenGradients(const HiddenGradients&) = delete;
  HiddenGradients& operator=(const HiddenGradients&) = delete;
  ~HiddenGradients() {
    for (auto& [parameter, grad] : hidden_) {
      parameter.mutable_grad() = std::move(grad);
    }
  }
  void hide(const at::Tensor& parameter) {
    hidden_.emplace_back(parameter, std::move(parameter.mutable_grad()));
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> hidden_;
};

}  // namespace

// What a backward pass has brought so far.
struct RowSteps::Backward {
  int id;
  std::vector<std::shared_ptr<RowTable>> tables;  // of each look-up
  std::vector<LookUpGradient> look_ups;
};

RowSteps::RowSteps(torch::optim::Optimizer& optimizer, std::unique_ptr<RowRule> rule,
                   const RowOptions& options)
    : optimizer_(optimizer), rule_(std::move(rule)), options_(options) {
  check_options(*rule_, options_);
}

RowSteps::~RowSteps() {
  for (const auto& [weight, table] : tables_) {
    table->lose_owner();
  }
}

const torch::optim::OptimizerOptions& RowSteps::options_of(const RowTable& table) const {
  return optimizer_.param_groups()[table.position().group].options();
}

torch::optim::OptimizerParamState* RowSteps::find_state(const at::Tensor& weight) {
  const auto found = optimizer_.state().find(weight.unsafeGetTensorImpl());
  return found == optimizer_.state().end() ? nullptr : found->second.get();
}

torch::optim::OptimizerParamState& RowSteps::add_state(
    const at::Tensor& weight, std::unique_ptr<torch::optim::OptimizerParamState> state) {
  return *(optimizer_.state()[weight.unsafeGetTensorImpl()] = std::move(state));
}

template <typename Function>
void RowSteps::for_each_parameter(Function&& function) const {
  for (Position at; at.group < optimizer_.param_groups().size(); ++at.group) {
    const std::vector<at::Tensor>& params = optimizer_.param_groups()[at.group].params();
    for (at.index = 0; at.index < params.size(); ++at.index) {
      function(params[at.index], at);
    }
  }
}

RowTable* RowSteps::find_table(const at::Tensor& weight) const {
  const auto found = tables_.find(weight.unsafeGetTensorImpl());
  return found == tables_.end() ? nullptr : found->second.get();
}

RowTable& RowSteps::add_table(const at::Tensor& weight, Position position) {
  return *(tables_[weight.unsafeGetTensorImpl()] =
               std::make_shared<RowTable>(*this, weight, position));
}

std::shared_ptr<RowTable> RowSteps::table(const at::Tensor& weight) {
  for_each_parameter([&](const at::Tensor& parameter, Position position) {
    if (parameter.is_same(weight) && find_table(weight) == nullptr) {
      add_table(weight, position);
    }
  });
  const auto found = tables_.find(weight.unsafeGetTensorImpl());
  TORCH_CHECK_VALUE(
      found != tables_.end(), rule_->optimizer(),
      ": weight must be one of the optimizer's parameters, got another tensor of shape ",
      weight.sizes());
  return found->second;
}

at::Tensor RowSteps::step(const torch::optim::Optimizer::LossClosure& closure,
                          const std::function<void()>& dense_step) {
  at::Tensor loss;
  if (closure) {
    const at::AutoGradMode grad_mode(true);
    loss = closure();
  }
  const at::NoGradGuard no_grad;
  std::vector<RowTable*> stepping;
  std::vector<RowTable*> fused;
  bool has_dense = false;
  for_each_parameter([&](const at::Tensor& parameter, Position position) {
    RowTable* table = find_table(parameter);
    const at::Tensor& grad = parameter.grad();
    if (table != nullptr && table->is_fused()) {
      TORCH_CHECK(
          !grad.defined(), rule_->optimizer(),
          ": a fused table must have no gradient, but weight.grad() is defined; unfuse() it, "
          "or call zero_grad()");
      fused.push_back(table);
      return;
    }
    if (!grad.defined()) {
      return;
    }
    if (table == nullptr) {
      if (!grad.is_sparse() && rule_->dense_gradients() == DenseGradients::kTorch) {
        has_dense = true;
        return;
      }
      table = &add_table(parameter, position);
    }
    table->check_gradient(grad);
    stepping.push_back(table);
  });
  if (has_dense) {
    HiddenGradients hidden;
    for (const RowTable* table : stepping) {
      hidden.hide(table->weight());
    }
    dense_step();
  }
  for (RowTable* table : stepping) {
    table->step(table->weight().grad());
  }
  for (RowTable* table : fused) {
    table->allow_fused_step();
  }
  return loss;
}

void RowSteps::flush() {
  for_each_parameter([&](const at::Tensor& parameter, Position /*position*/) {
    if (RowTable* table = find_table(parameter)) {
      table->flush();
    }
  });
}

// ---------------------------------------------------------------------------------------------
// Fused steps

void RowSteps::take_gradient(const std::shared_ptr<RowTable>& table, LookUpGradient gradient) {
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

void RowSteps::end_backward(Backward& backward) {
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

// ---------------------------------------------------------------------------------------------
// Archives

void RowSteps::save(torch::serialize::OutputArchive& archive) {
  flush();
  torch::serialize::OutputArchive rows(archive.compilation_unit());
  std::int64_t number = 0;
  for_each_parameter([&](const at::Tensor& parameter, Position /*position*/) {
    if (const RowTable* table = find_table(parameter)) {
      torch::serialize::OutputArchive of_table(archive.compilation_unit());
      table->save(of_table);
      rows.write(std::to_string(number), of_table);
    }
    ++number;
  });
  archive.write(kArchiveKey, rows);
}

void RowSteps::load(torch::serialize::InputArchive& archive) {
  torch::serialize::InputArchive rows;
  const bool has_rows = archive.try_read(kArchiveKey, rows);
  std::int64_t number = 0;
  for_each_parameter([&](const at::Tensor& parameter, Position position) {
    torch::serialize::InputArchive of_table;
    const bool has_table = has_rows && rows.try_read(std::to_string(number), of_table);
    RowTable* table = find_table(parameter);
    if (table == nullptr && has_table) {
      table = &add_table(parameter, position);
    }
    if (table != nullptr) {
      table->load(has_table ? &of_table : nullptr);
    }
    ++number;
  });
}

}  // namespace rowlane::optim::detail
