#include "rowlane/optim/row_optimizer.h"

#include "csrc/optim/row_rule.h"
#include "csrc/optim/torch_optimizer.h"

namespace rowlane::optim {

RowOptimizer::RowOptimizer(torch::optim::Optimizer& optimizer, const detail::RowRule& rule,
                           const RowOptions& options)
    : impl_(std::make_unique<detail::TorchOptimizer>(optimizer, rule, options)) {}

RowOptimizer::~RowOptimizer() = default;

const RowOptions& RowOptimizer::row_options() const noexcept { return impl_->options(); }

void RowOptimizer::flush() { impl_->flush(); }

std::shared_ptr<detail::RowTable> RowOptimizer::table(const at::Tensor& weight) {
  return impl_->table(weight);
}

at::Tensor RowOptimizer::step_rows(const torch::optim::Optimizer::LossClosure& closure,
                                   const std::function<void()>& dense_step) {
  return impl_->step(closure, dense_step);
}

void RowOptimizer::save_rows(torch::serialize::OutputArchive& archive) const {
  impl_->save(archive);
}

void RowOptimizer::load_rows(torch::serialize::InputArchive& archive) { impl_->load(archive); }

}  // namespace rowlane::optim
