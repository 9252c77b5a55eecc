#include "rowlane/optim/row_optimizer.h"

#include <utility>

#include "csrc/optim/row_rule.h"
#include "csrc/optim/row_steps.h"

namespace rowlane::optim {

RowOptimizer::RowOptimizer(torch::optim::Optimizer& optimizer,
                           std::unique_ptr<detail::RowRule> rule, const RowOptions& options)
    : steps_(std::make_unique<detail::RowSteps>(optimizer, std::move(rule), options)) {}

RowOptimizer::~RowOptimizer() = default;

const RowOptions& RowOptimizer::row_options() const noexcept { return steps_->options(); }

void RowOptimizer::flush() { steps_->flush(); }

std::shared_ptr<detail::RowTable> RowOptimizer::table(const at::Tensor& weight) {
  return steps_->table(weight);
}

at::Tensor RowOptimizer::step_rows(const torch::optim::Optimizer::LossClosure& closure,
                                   const std::function<void()>& dense_step) {
  return steps_->step(closure, dense_step);
}

void RowOptimizer::save_rows(torch::serialize::OutputArchive& archive) const {
  steps_->save(archive);
}

void RowOptimizer::load_rows(torch::serialize::InputArchive& archive) { steps_->load(archive); }

}  // namespace rowlane::optim
