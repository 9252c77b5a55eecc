#include "rowlane/optim/adamw.h"

#include <memory>
#include <utility>

#include "csrc/optim/adam_rule.h"

namespace rowlane::optim {
namespace {

class AdamWRule final : public detail::AdamRule<AdamWOptions, AdamWParamState> {
 public:
  AdamWRule() : detail::AdamRule<AdamWOptions, AdamWParamState>("rowlane::optim::AdamW", true) {}
};

}  // namespace

AdamW::AdamW(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
             AdamWOptions defaults, const RowOptions& row_options)
    : torch::optim::AdamW(param_groups, std::move(defaults)),
      RowOptimizer(*this, std::make_unique<AdamWRule>(), row_options) {}

AdamW::AdamW(std::vector<at::Tensor> params, AdamWOptions defaults, const RowOptions& row_options)
    : AdamW({torch::optim::OptimizerParamGroup(std::move(params))}, std::move(defaults),
            row_options) {}

at::Tensor AdamW::step(LossClosure closure) {
  return step_rows(closure, [this] { torch::optim::AdamW::step(); });
}

void AdamW::save(torch::serialize::OutputArchive& archive) const {
  save_rows(archive);
  torch::optim::AdamW::save(archive);
}

void AdamW::load(torch::serialize::InputArchive& archive) {
  torch::optim::AdamW::load(archive);
  load_rows(archive);
}

}  // namespace rowlane::optim
