#include "csrc/optim/row_table.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_indices.h>
#include <ATen/ops/_values.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <mutex>
#include <utility>

#include "csrc/ops/huge_pages.h"
#include "csrc/optim/row_steps.h"

namespace rowlane::optim::detail {
namespace {

// From so many lines on all rows are caught up and the history begins anew: what a learning rate
// that changes in every step costs has a bound.
constexpr std::int64_t kMaxHistoryLines = 4096;

// Steps with these numbers change no row whose gradient is zero.
bool leaves_other_rows(ops::StepRule rule, const ops::StepNumbers& numbers) {
  switch (rule) {
    case ops::StepRule::kSgd:
      return numbers.beta1 == 0 && numbers.weight_decay == 0;
    case ops::StepRule::kAdagrad:
      return numbers.weight_decay == 0;
    default:
      return false;
  }
}

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
};

RowTable::RowTable(RowSteps& owner, const at::Tensor& weight, Position position)
    : owner_(&owner),
      weight_(weight),
      position_(position),
      rule_(owner.rule().step_rule()),
      options_(owner.options()),
      shape_(owner.rule().shape(weight)) {
  load(nullptr);
}

std::string_view RowTable::optimizer() const {
  return owner_ != nullptr ? owner_->rule().optimizer() : "rowlane::optim";
}

bool RowTable::is_16_bit() const {
  return weight_.scalar_type() == at::kHalf || weight_.scalar_type() == at::kBFloat16;
}

bool RowTable::is_tracked() const { return row_steps_.defined() && !options_.per_row_steps(); }

at::Tensor RowTable::as_table(const at::Tensor& tensor) const {
  return tensor.dim() == 2 ? tensor : tensor.view({shape_.first, shape_.second});
}

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

RowTable::Step RowTable::begin_step() {
  const RowRule& rule = owner_->rule();
  const torch::optim::OptimizerOptions& options = owner_->options_of(*this);
  std::unique_ptr<torch::optim::OptimizerParamState> new_state;
  torch::optim::OptimizerParamState* param_state = owner_->find_state(weight_);
  if (param_state == nullptr) {
    new_state = rule.make_state();
    param_state = new_state.get();
  }
  const std::vector<StateSlot> slots = rule.slots(*param_state, options);
  if (slots.size() != state_.size()) {
    flush();  // the lines of a history are of steps that keep the same tensors
  }
  state_.clear();
  for (const StateSlot& slot : slots) {
    at::Tensor& tensor = *slot.tensor;
    const at::ScalarType type = weight_.scalar_type();
    const at::ScalarType dtype = slot.is_per_row ? (type == at::kDouble ? at::kDouble : at::kFloat)
                                                 : options_.state_dtype().value_or(type);
    if (!tensor.defined()) {
      const at::DimVector sizes =
          slot.is_per_row ? at::DimVector{shape_.first} : at::DimVector(weight_.sizes());
      tensor = ops::empty_in_huge_pages(sizes, weight_.options().dtype(dtype)).fill_(slot.initial);
      if (rule.step_count(*param_state) == nullptr) {
        restart();
      }
    }
    tensor = (tensor.is_sparse() ? tensor.to_dense() : tensor).to(dtype).contiguous();
    state_.push_back(slot.is_per_row ? tensor : as_table(tensor));
  }
  if (new_state != nullptr && (!slots.empty() || rule.step_count(*new_state) != nullptr)) {
    owner_->add_state(weight_, std::move(new_state));
  }

  const ops::StepNumbers numbers = rule.numbers(options, num_steps_ + 1);
  const bool needs_row_steps =
      options_.per_row_steps() || (options_.semantics() == RowSemantics::kDenseEquivalent &&
                                   !leaves_other_rows(rule_, numbers));
  if (needs_row_steps && !row_steps_.defined()) {
    row_steps_ = at::full({shape_.first}, num_steps_, weight_.options().dtype(at::kLong));
    num_steps_of_all_rows_ = num_steps_;
  }
  if (options_.master_weights() && is_16_bit() && !master_.defined()) {
    const at::Tensor table = as_table(weight_.detach());
    master_ = ops::empty_in_huge_pages(table.sizes(), table.options().dtype(at::kFloat));
    master_.copy_(table);
  }
  return {target(), numbers};
}

void RowTable::end_step(const ops::StepNumbers& numbers) {
  ++num_steps_;
  if (torch::optim::OptimizerParamState* state = owner_->find_state(weight_)) {
    if (std::int64_t* count = owner_->rule().step_count(*state)) {
      *count = num_steps_;
    }
  }
  if (is_tracked()) {
    history_.record(numbers);
    if (history_.num_lines() >= kMaxHistoryLines) {
      flush();
    }
  }
}

void RowTable::step(const at::Tensor& grad) {
  const auto [target, numbers] = begin_step();
  if (!grad.is_sparse()) {
    const at::Tensor rows =
        at::arange(shape_.first, at::TensorOptions(weight_.device()).dtype(at::kLong));
    ops::row_step(target, rows, as_table(grad.contiguous()), rule_, numbers);
    num_steps_of_all_rows_ = num_steps_ + 1;
  } else if (grad.is_coalesced()) {
    ops::row_step(target, grad._indices().select(0, 0), grad._values().contiguous(), rule_,
                  numbers);
  } else {
    ops::embedding_step(target, grad._values(), grad._indices().select(0, 0), rule_, numbers,
                        /*padding_idx=*/std::nullopt, /*scale_grad_by_freq=*/false);
  }
  end_step(numbers);
}

void RowTable::step(std::span<const LookUpGradient> look_ups) {
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
  const auto [target, numbers] = begin_step();
  ops::embedding_step(target, grad_output, indices, rule_, numbers, look_ups.front().padding_idx,
                      look_ups.front().scale_grad_by_freq);
  end_step(numbers);
  has_fused_step_ = true;
}

// ---------------------------------------------------------------------------------------------
// Checks

void RowTable::check_gradient(const at::Tensor& grad) const {
  TORCH_CHECK(weight_.is_contiguous(), optimizer(), ": a table must be contiguous, got strides ",
              weight_.strides(), " of shape ", weight_.sizes());
  if (!grad.is_sparse()) {
    TORCH_CHECK(owner_->rule().dense_gradients() != DenseGradients::kRefused, optimizer(),
                " does not support dense gradients, please consider Adam instead");
    check_up_to_date(std::nullopt);
    return;
  }
  TORCH_CHECK(weight_.dim() == 2 && grad.sparse_dim() == 1, optimizer(),
              ": a sparse gradient must be one of rows of a 2-D table, got ", grad.sparse_dim(),
              " sparse dimensions of shape ", grad.sizes());
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
      "must have no gradient, but weight.grad() is defined: weight was used elsewhere than in "
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

void RowTable::check_may_step_fused() const {
  check_has_owner();
  TORCH_CHECK(is_fused_ && !has_fused_step_,
              "rowlane::nn::Embedding: a fused table takes its step in the backward pass, so there "
              "must be a step() of the optimizer between two backward passes; to accumulate "
              "gradients, unfuse() the table");
}

// ---------------------------------------------------------------------------------------------
// Rows that are behind

void RowTable::catch_up(const at::Tensor& indices) {
  if (is_tracked() && !is_up_to_date()) {
    replay(indices);
  }
}

void RowTable::flush() {
  if (!is_tracked()) {
    return;
  }
  if (!is_up_to_date()) {
    replay(std::nullopt);
  }
  num_steps_of_all_rows_ = num_steps_;
  history_.clear();
}

void RowTable::replay(const std::optional<at::Tensor>& indices) {
  const at::NoGradGuard no_grad;
  ops::row_catch_up(target(), indices, rule_, history_.lines(), num_steps_);
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
// Archives

void RowTable::save(torch::serialize::OutputArchive& archive) const {
  if (options_.per_row_steps() && row_steps_.defined()) {
    archive.write("row_steps", row_steps_, /*is_buffer=*/true);
  }
  if (master_.defined()) {
    archive.write("master", master_, /*is_buffer=*/true);
  }
}

void RowTable::load(torch::serialize::InputArchive* archive) {
  num_steps_ = 0;
  if (torch::optim::OptimizerParamState* state = owner_->find_state(weight_)) {
    const std::vector<StateSlot> slots = owner_->rule().slots(*state, owner_->options_of(*this));
    const std::int64_t* count = owner_->rule().step_count(*state);
    num_steps_ = count != nullptr ? *count : (!slots.empty() && slots[0].tensor->defined() ? 1 : 0);
    for (const StateSlot& slot : slots) {
      if (slot.tensor->defined()) {
        use_huge_pages(*slot.tensor);
      }
    }
  }
  num_steps_of_all_rows_ = num_steps_;
  state_.clear();
  row_steps_.reset();
  master_.reset();
  history_.clear();
  has_fused_step_ = false;
  if (archive == nullptr) {
    return;
  }
  at::Tensor tensor;
  if (options_.per_row_steps() && archive->try_read("row_steps", tensor, /*is_buffer=*/true)) {
    row_steps_ = tensor.to(weight_.device());
  }
  if (options_.master_weights() && is_16_bit() &&
      archive->try_read("master", tensor, /*is_buffer=*/true)) {
    master_ = tensor.to(weight_.device());
  }
}

}  // namespace rowlane::optim::detail
