// The steps of a table, and the checks before them.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/_indices.h>
#include <ATen/ops/_values.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <mutex>

#include "csrc/autograd/gradient_hooks.h"
#include "csrc/ops/huge_pages.h"
#include "csrc/optim/row_optimizer_impl.h"
#include "csrc/optim/row_table.h"

namespace rowlane::optim::detail {
namespace {

// From so many lines on all rows are caught up and the history begins anew: what a learning rate
// that changes in every step costs has a bound.
constexpr std::int64_t kMaxHistoryLines = 4096;

std::int64_t draw_seed() {
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  const std::scoped_lock lock(generator.mutex());
  return static_cast<std::int64_t>(
      at::check_generator<at::CPUGeneratorImpl>(generator)->random64());
}

}  // namespace

struct RowTable::Step {
  ops::StepTarget target;
  ops::StepNumbers numbers;
  bool maximize;
};

// ---------------------------------------------------------------------------------------------
// Steps

ops::StepTarget RowTable::target() const {
  return {.weight = as_table(weight_.detach()),
          .state = state_,
          .row_steps = row_steps_,
          .counts_rows = options_.per_row_steps(),
          .master = master_,
          .seed = options_.stochastic_rounding() && is_16_bit() ? std::optional(draw_seed())
                                                                : std::nullopt};
}

// The tensors of the state, made where they are missing, in the form that the ops take.
void RowTable::collect_state(const std::vector<at::Tensor*>& slots, double initial) {
  const std::span<const StateName> names = state_names(rule_);
  const at::ScalarType type = weight_.scalar_type();
  state_.clear();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    at::Tensor& tensor = *slots[i];
    const bool is_per_row = names[i].is_per_row;
    const at::ScalarType dtype = type == at::kDouble ? at::kDouble
                                 : is_per_row        ? at::kFloat
                                                     : options_.state_dtype().value_or(type);
    if (!tensor.defined()) {
      const at::DimVector sizes =
          is_per_row ? at::DimVector{shape_.first} : at::DimVector(weight_.sizes());
      tensor = ops::empty_in_huge_pages(sizes, weight_.options().dtype(dtype)).fill_(initial);
      if (!counts_steps(rule_)) {
        restart();
      }
    }
    tensor = (tensor.is_sparse() ? tensor.to_dense() : tensor).to(dtype).contiguous();
    state_.push_back(is_per_row ? tensor : as_table(tensor));
  }
}

RowTable::Step RowTable::begin_step() {
  const StepSettings settings = owner_->settings(*this);
  const std::size_t num_tensors = num_states(rule_, settings);
  if (num_tensors != state_.size()) {
    flush();  // the lines of a history are of steps that keep the same tensors
  }
  StateSlots slots;
  if (num_tensors > 0 || counts_steps(rule_)) {
    slots = owner_->state(*this, /*make=*/true);
  }
  slots.tensors.resize(num_tensors);
  collect_state(slots.tensors, settings.initial);

  ops::StepNumbers numbers = settings.numbers;
  numbers.step = num_steps_ + 1;
  numbers.lr /= 1 + static_cast<double>(num_steps_) * settings.lr_decay;
  const bool needs_row_steps =
      options_.per_row_steps() || (options_.semantics() == RowSemantics::kDenseEquivalent &&
                                   !ops::rule_traits(rule_).leaves_other_rows(numbers));
  if (needs_row_steps && !row_steps_.defined()) {
    row_steps_ = at::full({shape_.first}, num_steps_, weight_.options().dtype(at::kLong));
    num_steps_of_all_rows_ = num_steps_;
  }
  if (options_.master_weights() && is_16_bit() && !master_.defined()) {
    const at::Tensor table = as_table(weight_.detach());
    master_ = ops::empty_in_huge_pages(table.sizes(), table.options().dtype(at::kFloat));
    master_.copy_(table);
  }
  return {target(), numbers, settings.maximize};
}

void RowTable::end_step(const ops::StepNumbers& numbers) {
  ++num_steps_;
  if (const StateSlots slots = owner_->state(*this, /*make=*/false); slots.num_steps != nullptr) {
    *slots.num_steps = num_steps_;
  }
  contents_ = contents();
  if (!is_tracked()) {
    return;
  }
  history_.record(numbers);
  // Where gradients come from other processes too, so that all of them catch rows up at the same
  // steps, and have the same bits.
  if (history_.num_lines() >= kMaxHistoryLines || autograd::has_accumulation_hooks(weight_)) {
    flush();
  }
}

void RowTable::step(const at::Tensor& grad, const at::Tensor& scale) {
  notice_replacement();
  const auto [target, numbers, maximize] = begin_step();
  const auto prepared = [&, maximize = maximize](const at::Tensor& values) {
    const at::Tensor unscaled = scale.defined() ? values.div(scale) : values;
    return maximize ? unscaled.neg() : unscaled;
  };
  if (!grad.is_sparse()) {
    const at::Tensor rows =
        at::arange(shape_.first, at::TensorOptions(weight_.device()).dtype(at::kLong));
    ops::row_step(target, rows, as_table(prepared(grad).contiguous()), rule_, numbers);
    num_steps_of_all_rows_ = num_steps_ + 1;
  } else if (grad.is_coalesced()) {
    ops::row_step(target, grad._indices().select(0, 0), prepared(grad._values()).contiguous(),
                  rule_, numbers);
  } else {
    ops::embedding_step(target, prepared(grad._values()), grad._indices().select(0, 0), rule_,
                        numbers, /*padding_idx=*/std::nullopt, /*scale_grad_by_freq=*/false);
  }
  end_step(numbers);
}

void RowTable::step(std::span<const LookUpGradient> look_ups) {
  notice_replacement();
  at::Tensor grad_output = look_ups.front().grad_output;
  at::Tensor indices = look_ups.front().indices;
  if (look_ups.size() > 1) {
    std::vector<at::Tensor> grads;
    std::vector<at::Tensor> rows;
    for (const LookUpGradient& look_up : look_ups) {
      grads.push_back(look_up.grad_output.reshape({look_up.indices.numel(), shape_.second}));
      rows.push_back(look_up.indices.reshape(-1).to(at::kLong));
    }
    grad_output = at::cat(grads);
    indices = at::cat(rows);
  }
  for (const LookUpGradient& look_up : look_ups) {
    if (look_up.step_of_forward != num_steps_) {
      catch_up(look_up.indices);
    }
  }
  const auto [target, numbers, maximize] = begin_step();
  ops::embedding_step(target, maximize ? grad_output.neg() : grad_output, indices, rule_, numbers,
                      look_ups.front().padding_idx, look_ups.front().scale_grad_by_freq);
  end_step(numbers);
  has_fused_step_ = true;
}

// ---------------------------------------------------------------------------------------------
// Checks

void RowTable::check_gradient(const at::Tensor& grad) {
  notice_replacement();
  TORCH_CHECK(weight_.is_contiguous(), optimizer(), ": a table must be contiguous, got strides ",
              weight_.strides(), " of shape ", weight_.sizes());
  if (!grad.is_sparse()) {
    TORCH_CHECK(owner_->dense_gradients() != DenseGradients::kRefused, optimizer(),
                " does not support dense gradients, please consider Adam instead");
    check_up_to_date(std::nullopt);
    return;
  }
  TORCH_CHECK_VALUE(weight_.dim() == 2 && grad.sparse_dim() == 1, optimizer(),
                    ": a sparse gradient must be one of rows of a 2-D table, got ",
                    grad.sparse_dim(), " sparse dimensions of shape ", grad.sizes());
  check_up_to_date(grad._indices().select(0, 0));
}

void RowTable::check_up_to_date(const std::optional<at::Tensor>& rows) const {
  if (!is_tracked() || is_up_to_date()) {
    return;
  }
  const at::Tensor steps = rows.has_value() ? row_steps_.index_select(0, *rows) : row_steps_;
  const at::Tensor is_behind = steps.ne(num_steps_);
  if (!is_behind.any().item<bool>()) {
    return;
  }
  const at::Tensor first = is_behind.nonzero().select(0, 0).squeeze();
  const auto row =
      (rows.has_value() ? rows->index_select(0, first.view(1)) : first).item<std::int64_t>();
  TORCH_CHECK(false, optimizer(), ": row ", row, " of a table ", weight_.sizes(),
              " is up to date to step ", row_steps_.select(0, row).item<std::int64_t>(), " of ",
              num_steps_,
              ", so the forward pass read it as it was then; attach() the nn::Embedding that reads "
              "it to the optimizer, or flush() the optimizer before the forward pass");
}

void RowTable::check_look_ups(std::span<const LookUpGradient> look_ups) const {
  constexpr std::string_view kFused = "rowlane::nn::Embedding: a fused table ";
  check_may_step_fused();
  TORCH_CHECK(
      !weight_.grad().defined(), kFused,
      "must have no gradient, but weight.grad is defined: weight was used elsewhere than in "
      "look-ups, or has a gradient from before it was fused; unfuse() the table, or call "
      "zero_grad()");
  TORCH_CHECK(look_ups.size() == 1 || !look_ups.front().scale_grad_by_freq, kFused,
              "with scale_grad_by_freq can be looked up once in a backward pass, got ",
              look_ups.size(), " look-ups");
  for (const LookUpGradient& look_up : look_ups) {
    TORCH_CHECK(
        look_up.padding_idx == look_ups.front().padding_idx &&
            look_up.scale_grad_by_freq == look_ups.front().scale_grad_by_freq,
        kFused,
        "must have the same padding_idx and scale_grad_by_freq in all look-ups of a backward "
        "pass");
  }
}

void RowTable::check_has_owner() const {
  TORCH_CHECK(
      owner_ != nullptr,
      "rowlane::nn::Embedding: the optimizer that the table is fused with is gone; unfuse() "
      "the table, or fuse() it with another");
}

void RowTable::check_has_no_gradient() const {
  TORCH_CHECK(!weight_.grad().defined(), optimizer(),
              ": a fused table must have no gradient, but weight.grad is defined; unfuse() it, or "
              "call zero_grad()");
}

void RowTable::check_may_step_fused() const {
  check_has_owner();
  TORCH_CHECK(is_fused_ && !has_fused_step_,
              "rowlane::nn::Embedding: a fused table takes its step in the backward pass, so there "
              "must be a step() of the optimizer between two backward passes; to accumulate "
              "gradients, unfuse() the table");
}

}  // namespace rowlane::optim::detail
