#include "csrc/optim/torch_optimizer.h"

#include <ATen/core/grad_mode.h>
#include <torch/serialize/archive.h>

#include <string>
#include <utility>

namespace rowlane::optim::detail {
namespace {

constexpr const char* kArchiveKey = "rowlane_rows";

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

TorchOptimizer::TorchOptimizer(torch::optim::Optimizer& optimizer, const RowRule& rule,
                               const RowOptions& options)
    : RowOptimizerImpl(rule.name(), rule.rule(), rule.dense_gradients()),
      optimizer_(optimizer),
      rule_(rule),
      options_(options) {
  check_options(options_);
}

template <typename Function>
void TorchOptimizer::for_each_parameter(Function&& function) const {
  std::int64_t position = 0;
  for (const torch::optim::OptimizerParamGroup& group : optimizer_.param_groups()) {
    for (const at::Tensor& parameter : group.params()) {
      function(parameter, position);
      ++position;
    }
  }
}

StepSettings TorchOptimizer::settings(const RowTable& table) {
  std::int64_t end = 0;
  for (const torch::optim::OptimizerParamGroup& group : optimizer_.param_groups()) {
    end += static_cast<std::int64_t>(group.params().size());
    if (table.position() < end) {
      return rule_.settings(group.options());
    }
  }
  TORCH_INTERNAL_ASSERT(false, "the parameter of a table is gone from its optimizer");
}

StateSlots TorchOptimizer::state(const RowTable& table, bool make) {
  c10::TensorImpl* const parameter = table.weight().unsafeGetTensorImpl();
  auto& states = optimizer_.state();
  auto found = states.find(parameter);
  if (found == states.end()) {
    if (!make) {
      return {};
    }
    found = states.emplace(parameter, rule_.make_state()).first;
  }
  return {rule_.tensors(*found->second), rule_.step_count(*found->second)};
}

std::shared_ptr<RowTable> TorchOptimizer::table(const at::Tensor& weight) {
  std::shared_ptr<RowTable> table;
  for_each_parameter([&](const at::Tensor& parameter, std::int64_t position) {
    if (parameter.is_same(weight)) {
      table = find_table(weight);
      table = table != nullptr ? table : add_table(weight, position, options_);
    }
  });
  TORCH_CHECK_VALUE(
      table != nullptr, name(),
      ": weight must be one of the optimizer's parameters, got another tensor of shape ",
      weight.sizes());
  return table;
}

at::Tensor TorchOptimizer::step(const torch::optim::Optimizer::LossClosure& closure,
                                const std::function<void()>& dense_step) {
  at::Tensor loss;
  if (closure) {
    const at::AutoGradMode grad_mode(true);
    loss = closure();
  }
  const at::NoGradGuard no_grad;
  std::vector<std::shared_ptr<RowTable>> stepping;
  std::vector<std::shared_ptr<RowTable>> fused;
  bool has_dense = false;
  for_each_parameter([&](const at::Tensor& parameter, std::int64_t position) {
    std::shared_ptr<RowTable> table = find_table(parameter);
    const at::Tensor& grad = parameter.grad();
    if (table != nullptr && table->is_fused()) {
      table->check_has_no_gradient();
      fused.push_back(std::move(table));
      return;
    }
    if (!grad.defined()) {
      return;
    }
    if (table == nullptr) {
      if (!grad.is_sparse() && dense_gradients() == DenseGradients::kTorch) {
        has_dense = true;
        return;
      }
      table = add_table(parameter, position, options_);
    }
    table->check_gradient(grad);
    stepping.push_back(std::move(table));
  });
  if (has_dense) {
    HiddenGradients hidden;
    for (const auto& table : stepping) {
      hidden.hide(table->weight());
    }
    dense_step();
  }
  for (const auto& table : stepping) {
    table->step(table->weight().grad());
  }
  for (const auto& table : fused) {
    table->allow_fused_step();
  }
  return loss;
}

void TorchOptimizer::save(torch::serialize::OutputArchive& archive) {
  flush();
  torch::serialize::OutputArchive rows(archive.compilation_unit());
  for_each_parameter([&](const at::Tensor& parameter, std::int64_t position) {
    const std::shared_ptr<RowTable> table = find_table(parameter);
    if (table == nullptr) {
      return;
    }
    torch::serialize::OutputArchive of_table(archive.compilation_unit());
    if (const at::Tensor row_steps = table->row_steps_to_save(); row_steps.defined()) {
      of_table.write("row_steps", row_steps, /*is_buffer=*/true);
    }
    if (table->master().defined()) {
      of_table.write("master", table->master(), /*is_buffer=*/true);
    }
    rows.write(std::to_string(position), of_table);
  });
  archive.write(kArchiveKey, rows);
}

void TorchOptimizer::load(torch::serialize::InputArchive& archive) {
  torch::serialize::InputArchive rows;
  const bool has_rows = archive.try_read(kArchiveKey, rows);
  for_each_parameter([&](const at::Tensor& parameter, std::int64_t position) {
    torch::serialize::InputArchive of_table;
    const bool has_table = has_rows && rows.try_read(std::to_string(position), of_table);
    std::shared_ptr<RowTable> table = find_table(parameter);
    if (table == nullptr && has_table) {
      table = add_table(parameter, position, options_);
    }
    if (table == nullptr) {
      return;
    }
    at::Tensor row_steps;
    at::Tensor master;
    if (has_table) {
      of_table.try_read("row_steps", row_steps, /*is_buffer=*/true);
      of_table.try_read("master", master, /*is_buffer=*/true);
    }
    table->load(row_steps, master);
  });
}

}  // namespace rowlane::optim::detail
