#include "csrc/ops/row_step.h"

#include <string>
#include <utility>

#include "csrc/ops/dispatch.h"
#include "csrc/ops/embedding.h"

namespace rowlane::ops {
namespace {

std::optional<at::Tensor> optional_of(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// How many tensors the rule keeps.
std::size_t num_states(StepRule rule, const StepNumbers& numbers, std::size_t given) {
  const RuleTraits& traits = rule_traits(rule);
  const auto least = static_cast<std::size_t>(traits.element_states + traits.row_states);
  const auto most = least + static_cast<std::size_t>(traits.extra_states);
  const bool has_extra = rule == StepRule::kSgd ? numbers.beta1 != 0 : given == most;
  return has_extra ? most : least;
}

// The names of the rules that are wanted, as a sentence lists them.
template <typename Predicate>
std::string rule_names(const Predicate& is_wanted) {
  std::vector<std::string_view> names;
  for (const RuleTraits& traits : kernels::kRules) {
    if (is_wanted(traits)) {
      names.push_back(traits.name);
    }
  }
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    list += i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    list += names[i];
  }
  return list;
}

void check_companion(std::string_view op, std::string_view name, const at::Tensor& tensor,
                     const at::Tensor& weight, at::IntArrayRef sizes) {
  TORCH_CHECK(tensor.sizes() == sizes, op, ": ", name, " must have shape ", sizes, ", got ",
              tensor.sizes());
  TORCH_CHECK(tensor.is_contiguous(), op, ": ", name, " must be contiguous");
  TORCH_CHECK(tensor.device() == weight.device(), op, ": ", name, " must be on weight's device, ",
              weight.device(), ", got ", tensor.device());
}

}  // namespace

StepRule parse_rule(std::string_view op, std::string_view rule) {
  for (const RuleTraits& traits : kernels::kRules) {
    if (traits.name == rule) {
      return traits.rule;
    }
  }
  TORCH_CHECK_VALUE(false, op, ": rule must be ", rule_names([](const auto&) { return true; }),
                    ", got '", rule, "'");
}

StepNumbers parse_numbers(std::string_view op, at::ArrayRef<double> numbers) {
  TORCH_CHECK_VALUE(numbers.size() == kNumStepNumbers, op, ": numbers must be ", kNumStepNumbers,
                    " (lr, weight_decay, is_decoupled, beta1, beta2, eps, is_nesterov, step), got ",
                    numbers.size());
  return {.lr = numbers[0],
          .weight_decay = numbers[1],
          .is_decoupled = numbers[2] != 0,
          .beta1 = numbers[3],
          .beta2 = numbers[4],
          .eps = numbers[5],
          .is_nesterov = numbers[6] != 0,
          .step = static_cast<std::int64_t>(numbers[7])};
}

namespace {

void check_target(std::string_view op, const StepTarget& target, StepRule rule,
                  const StepNumbers& numbers) {
  const at::Tensor& weight = target.weight;
  TORCH_CHECK(weight.dim() == 2, op,
              ": 'weight' must be 2-D [num_embeddings, embedding_dim], got shape ", weight.sizes());
  const at::ScalarType type = weight.scalar_type();
  check_summable(op, "weight", weight);
  TORCH_CHECK(weight.is_contiguous(), op, ": weight must be contiguous");
  const RuleTraits& traits = rule_traits(rule);
  const std::size_t size = num_states(rule, numbers, target.state.size());
  TORCH_CHECK_VALUE(target.state.size() == size, op, ": rule '", traits.name, "' keeps ", size,
                    " tensors, got ", target.state.size());
  for (std::size_t i = 0; i < size; ++i) {
    const at::Tensor& state = target.state[i];
    const std::string name = "state[" + std::to_string(i) + "]";
    const bool is_per_row = i + static_cast<std::size_t>(traits.row_states) >= size;
    check_companion(op, name, state, weight,
                    is_per_row ? weight.sizes().slice(0, 1) : weight.sizes());
    const at::ScalarType accum_type = type == at::kDouble ? at::kDouble : at::kFloat;
    if (is_per_row) {
      TORCH_CHECK_TYPE(state.scalar_type() == accum_type, op, ": ", name, " must be ", accum_type,
                       ", got ", state.scalar_type());
      continue;
    }
    TORCH_CHECK_TYPE(state.scalar_type() == type || state.scalar_type() == accum_type, op, ": ",
                     name, " must be of weight's dtype, ", type, ", or ", accum_type, ", got ",
                     state.scalar_type());
    TORCH_CHECK_TYPE(state.scalar_type() == target.state[0].scalar_type(), op,
                     ": the tensors of state must have one dtype, got ",
                     target.state[0].scalar_type(), " and ", state.scalar_type());
  }
  if (target.row_steps.defined()) {
    check_companion(op, "row_steps", target.row_steps, weight, weight.sizes().slice(0, 1));
    TORCH_CHECK_TYPE(target.row_steps.scalar_type() == at::kLong, op,
                     ": row_steps must be int64, got ", target.row_steps.scalar_type());
  }
  TORCH_CHECK(target.row_steps.defined() || !target.counts_rows, op,
              ": counts_rows needs row_steps");
  if (target.master.defined()) {
    check_companion(op, "master", target.master, weight, weight.sizes());
    TORCH_CHECK_TYPE(
        target.master.scalar_type() == at::kFloat && (type == at::kHalf || type == at::kBFloat16),
        op, ": master must be float, of a table of half or bfloat16, got ",
        target.master.scalar_type(), " and ", type);
  }
  TORCH_CHECK_TYPE(!target.seed || type == at::kHalf || type == at::kBFloat16, op,
                   ": seed rounds a table of half or bfloat16 at random, got ", type);
  TORCH_CHECK_VALUE(numbers.step >= 1, op, ": step counts from 1, got ", numbers.step);
}

StepTarget step_target(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
                       bool counts_rows, OptionalTensor master, OptionalInt seed) {
  return {.weight = weight,
          .state = state.vec(),
          .row_steps = row_steps.value_or(at::Tensor()),
          .counts_rows = counts_rows,
          .master = master.value_or(at::Tensor()),
          .seed = seed};
}

}  // namespace

RowStepCall::RowStepCall(const at::Tensor& weight, at::TensorList state, OptionalTensor row_steps,
                         bool counts_rows, OptionalTensor master, OptionalInt seed,
                         const at::Tensor& row_list, const at::Tensor& value_list,
                         std::string_view rule_name, at::ArrayRef<double> number_list)
    : StepCall{step_target(weight, state, row_steps, counts_rows, master, seed),
               parse_rule(kOp, rule_name), parse_numbers(kOp, number_list)},
      rows(row_list),
      values(value_list) {
  check_target(kOp, target, rule, numbers);
  TORCH_CHECK_TYPE(rows.scalar_type() == at::kLong, kOp, ": rows must be int64, got ",
                   rows.scalar_type());
  TORCH_CHECK(rows.dim() == 1, kOp, ": rows must be 1-D, got shape ", rows.sizes());
  TORCH_CHECK_TYPE(values.scalar_type() == target.weight.scalar_type(), kOp,
                   ": values must be of weight's dtype, ", target.weight.scalar_type(), ", got ",
                   values.scalar_type());
  TORCH_CHECK(values.dim() == 2 && values.size(0) == rows.size(0) &&
                  values.size(1) == target.weight.size(1),
              kOp, ": values must have shape [", rows.size(0), ", ", target.weight.size(1),
              "], got ", values.sizes());
  for (const auto& [name, tensor] : {std::pair("rows", rows), std::pair("values", values)}) {
    TORCH_CHECK(tensor.device() == target.weight.device(), kOp, ": ", name,
                " must be on weight's device, ", target.weight.device(), ", got ", tensor.device());
  }
}

EmbeddingStepCall::EmbeddingStepCall(const at::Tensor& weight, at::TensorList state,
                                     OptionalTensor row_steps, bool counts_rows,
                                     OptionalTensor master, OptionalInt seed,
                                     const at::Tensor& grad, const at::Tensor& index_list,
                                     std::string_view rule_name, at::ArrayRef<double> number_list,
                                     OptionalInt padding_row, bool scales_by_freq)
    : StepCall{step_target(weight, state, row_steps, counts_rows, master, seed),
               parse_rule(kOp, rule_name), parse_numbers(kOp, number_list)},
      grad_output(grad),
      indices(index_list),
      padding_idx(padding_row),
      scale_grad_by_freq(scales_by_freq) {
  check_target(kOp, target, rule, numbers);
  check_gradient(kOp, grad_output, indices, "auto");
  check_rows(kOp, target.weight.size(0), padding_idx);
  TORCH_CHECK_TYPE(grad_output.scalar_type() == target.weight.scalar_type(), kOp,
                   ": grad_output must be of weight's dtype, ", target.weight.scalar_type(),
                   ", got ", grad_output.scalar_type());
  TORCH_CHECK(grad_output.size(-1) == target.weight.size(1), kOp,
              ": the last dim of grad_output must be weight's, ", target.weight.size(1), ", got ",
              grad_output.size(-1));
  TORCH_CHECK(indices.device() == target.weight.device(), kOp,
              ": indices must be on weight's device, ", target.weight.device(), ", got ",
              indices.device());
}

RowCatchUpCall::RowCatchUpCall(const at::Tensor& weight, at::TensorList state,
                               const at::Tensor& row_steps, OptionalTensor master, OptionalInt seed,
                               OptionalTensor index_list, std::string_view rule_name,
                               const at::Tensor& number_history, std::int64_t up_to_step)
    : StepCall{step_target(weight, state, row_steps, /*counts_rows=*/false, master, seed),
               parse_rule(kOp, rule_name),
               {}},
      indices(index_list),
      history(number_history),
      last_step(up_to_step) {
  constexpr auto kCatchesUp = [](const RuleTraits& traits) { return traits.has_dense_equivalent; };
  TORCH_CHECK_VALUE(kCatchesUp(rule_traits(rule)), kOp, ": rule must be ", rule_names(kCatchesUp),
                    ", got '", to_string(rule), "'");
  // Whether SGD has momentum: it is the state that says so.
  check_target(kOp, target, rule, {.beta1 = state.empty() ? 0. : 1.});
  TORCH_CHECK(target.row_steps.defined(), kOp, ": row_steps must be given");
  TORCH_CHECK_TYPE(history.scalar_type() == at::kDouble, kOp, ": history must be double, got ",
                   history.scalar_type());
  TORCH_CHECK(history.dim() == 2 && history.size(0) > 0 &&
                  history.size(1) == static_cast<std::int64_t>(kNumStepNumbers),
              kOp, ": history must have shape [K, ", kNumStepNumbers,
              "] with a line at least, got ", history.sizes());
  TORCH_CHECK_VALUE(last_step >= 0, kOp, ": last_step must not be negative, got ", last_step);
  if (indices) {
    TORCH_CHECK_TYPE(indices->scalar_type() == at::kLong || indices->scalar_type() == at::kInt, kOp,
                     ": indices must be int32 or int64, got ", indices->scalar_type());
    TORCH_CHECK(indices->device() == target.weight.device(), kOp,
                ": indices must be on weight's device, ", target.weight.device(), ", got ",
                indices->device());
  }
}

std::vector<StepNumbers> RowCatchUpCall::lines() const {
  TORCH_CHECK(history.device().is_cpu(), kOp, ": history must be on the CPU, got ",
              history.device());
  const at::Tensor lines = history.contiguous();
  const auto* const data = lines.const_data_ptr<double>();
  std::vector<StepNumbers> result;
  std::int64_t before = 0;
  for (std::int64_t line = 0; line < lines.size(0); ++line) {
    const auto count = kNumStepNumbers;
    result.push_back(
        parse_numbers(kOp, at::ArrayRef(data + static_cast<std::size_t>(line) * count, count)));
    TORCH_CHECK_VALUE(result.back().step > before, kOp,
                      ": the steps of history must ascend from 1 or more, got ", before, " and ",
                      result.back().step);
    before = result.back().step;
  }
  return result;
}

void row_step(const StepTarget& target, const at::Tensor& rows, const at::Tensor& values,
              StepRule rule, const StepNumbers& numbers) {
  find_op<RowStepOp>().call(target.weight, target.state, optional_of(target.row_steps),
                            target.counts_rows, optional_of(target.master), target.seed, rows,
                            values, to_string(rule), to_list(numbers));
}

void embedding_step(const StepTarget& target, const at::Tensor& grad_output,
                    const at::Tensor& indices, StepRule rule, const StepNumbers& numbers,
                    std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq) {
  find_op<EmbeddingStepOp>().call(target.weight, target.state, optional_of(target.row_steps),
                                  target.counts_rows, optional_of(target.master), target.seed,
                                  grad_output, indices, to_string(rule), to_list(numbers),
                                  padding_idx, scale_grad_by_freq);
}

void row_catch_up(const StepTarget& target, const std::optional<at::Tensor>& indices, StepRule rule,
                  const at::Tensor& history, std::int64_t last_step) {
  find_op<RowCatchUpOp>().call(target.weight, target.state, target.row_steps,
                               optional_of(target.master), target.seed, indices, to_string(rule),
                               history, last_step);
}

}  // namespace rowlane::ops
