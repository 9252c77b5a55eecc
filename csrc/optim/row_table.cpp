#include "csrc/optim/row_table.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>

#include <utility>

#include "csrc/optim/row_optimizer_impl.h"
#include "rowlane/huge_pages.h"

namespace rowlane::optim::detail {
namespace {

// [V, D]: a row per entry of the first dimension. LAMB's norm is that of the whole bias.
std::pair<std::int64_t, std::int64_t> table_shape(ops::StepRule rule, const at::Tensor& weight) {
  if (weight.dim() < 2 && rule == ops::StepRule::kLamb) {
    return {1, weight.numel()};
  }
  const std::int64_t num_rows = weight.dim() == 0 ? 1 : weight.size(0);
  return {num_rows, num_rows == 0 ? 0 : weight.numel() / num_rows};
}

}  // namespace

RowTable::RowTable(RowOptimizerImpl& owner, const at::Tensor& weight, std::int64_t position,
                   const RowOptions& options)
    : owner_(&owner),
      weight_(weight),
      position_(position),
      rule_(owner.rule()),
      options_(options),
      shape_(table_shape(owner.rule(), weight)),
      contents_(contents()) {
  load(/*row_steps=*/{}, /*master=*/{});
}

std::string_view RowTable::optimizer() const {
  return owner_ != nullptr ? owner_->name() : "rowlane::optim";
}

bool RowTable::is_16_bit() const {
  return weight_.scalar_type() == at::kHalf || weight_.scalar_type() == at::kBFloat16;
}

at::Tensor RowTable::as_table(const at::Tensor& tensor) const {
  return tensor.dim() == 2 ? tensor : tensor.view({shape_.first, shape_.second});
}

void RowTable::set_options(const RowOptions& options) {
  if (options.semantics() == options_.semantics() &&
      options.per_row_steps() == options_.per_row_steps() &&
      options.stochastic_rounding() == options_.stochastic_rounding() &&
      options.master_weights() == options_.master_weights() &&
      options.state_dtype() == options_.state_dtype()) {
    return;
  }
  flush();
  if (options.semantics() != options_.semantics() ||
      options.per_row_steps() != options_.per_row_steps()) {
    row_steps_.reset();
  }
  if (!options.master_weights()) {
    master_.reset();
  }
  options_ = options;
}

// ---------------------------------------------------------------------------------------------
// Rows that are behind

RowTable::Contents RowTable::contents() const {
  // Tensors of inference mode have no version.
  return {weight_.storage().data(),
          weight_.is_inference() ? 0U : static_cast<std::uint32_t>(weight_._version())};
}

void RowTable::notice_replacement() {
  if (contents() == contents_) {
    return;
  }
  contents_ = contents();
  const at::NoGradGuard no_grad;
  const at::Tensor table = as_table(weight_.detach());
  if (has_rows_behind()) {
    TORCH_WARN(optimizer(), ": a table ", weight_.sizes(),
               " was written to while rows of it had steps to catch up with, which the new numbers "
               "don't take; flush() the optimizer before you write to a part of a table");
    ops::StepTarget scratch = target();
    scratch.weight = table.clone();
    scratch.master = master_.defined() ? master_.clone() : master_;
    scratch.seed.reset();
    replay(scratch, std::nullopt);
    num_steps_of_all_rows_ = num_steps_;
    history_.clear();
  }
  if (master_.defined()) {
    const at::Tensor is_kept = master_.to(table.scalar_type()).eq(table);
    master_.copy_(at::where(is_kept, master_, table.to(at::kFloat)));
  }
}

void RowTable::catch_up(const at::Tensor& indices) {
  notice_replacement();
  if (has_rows_behind()) {
    replay(target(), indices);
    contents_ = contents();
  }
}

void RowTable::flush() {
  notice_replacement();
  if (!is_tracked()) {
    return;
  }
  if (!is_up_to_date()) {
    replay(target(), std::nullopt);
    contents_ = contents();
  }
  num_steps_of_all_rows_ = num_steps_;
  history_.clear();
}

void RowTable::replay(const ops::StepTarget& target, const std::optional<at::Tensor>& indices) {
  const at::NoGradGuard no_grad;
  ops::row_catch_up(target, indices, rule_, history_.lines(), num_steps_);
}

void RowTable::restart() {
  num_steps_ = 0;
  num_steps_of_all_rows_ = 0;
  history_.clear();
  if (row_steps_.defined()) {
    row_steps_.zero_();
  }
}

// ---------------------------------------------------------------------------------------------
// State

void RowTable::load(const at::Tensor& row_steps, const at::Tensor& master) {
  num_steps_ = 0;
  const StateSlots slots = owner_->state(*this, /*make=*/false);
  if (slots.num_steps != nullptr) {
    num_steps_ = *slots.num_steps;
  } else if (!slots.tensors.empty() && slots.tensors[0]->defined()) {
    num_steps_ = 1;
  }
  for (const at::Tensor* tensor : slots.tensors) {
    if (tensor->defined() && !tensor->is_sparse()) {
      use_huge_pages(*tensor);
    }
  }
  num_steps_of_all_rows_ = num_steps_;
  state_.clear();
  history_.clear();
  has_fused_step_ = false;
  row_steps_ = options_.per_row_steps() && row_steps.defined() ? row_steps.to(weight_.device())
                                                               : at::Tensor();
  master_ = options_.master_weights() && is_16_bit() && master.defined()
                ? as_table(master.to(weight_.device()))
                : at::Tensor();
}

}  // namespace rowlane::optim::detail
