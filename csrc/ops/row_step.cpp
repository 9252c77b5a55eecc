#include "csrc/ops/row_step.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <array>
#include <utility>

#include "csrc/ops/embedding.h"

namespace rowlane::ops {
namespace {

constexpr std::array<std::pair<StepRule, std::string_view>, 7> kRules{{
    {StepRule::kSgd, "sgd"},
    {StepRule::kAdagrad, "adagrad"},
    {StepRule::kRowWiseAdagrad, "rowwise_adagrad"},
    {StepRule::kAdam, "adam"},
    {StepRule::kSparseAdam, "sparse_adam"},
    {StepRule::kPartialRowWiseAdam, "partial_rowwise_adam"},
    {StepRule::kLamb, "lamb"},
}};

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::optional<at::Tensor> optional_of(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// How many tensors the rule keeps, and whether the last has a number per row.
struct StateShape {
  std::size_t size;
  bool last_is_per_row = false;
};

StateShape state_shape(StepRule rule, const StepNumbers& numbers, std::size_t given) {
  switch (rule) {
    case StepRule::kSgd:
      return {numbers.beta1 != 0 ? 1U : 0U};
    case StepRule::kAdagrad:
      return {1};
    case StepRule::kRowWiseAdagrad:
      return {1, true};
    case StepRule::kAdam:
      return {given == 3 ? 3U : 2U};
    case StepRule::kSparseAdam:
    case StepRule::kLamb:
      return {2};
    case StepRule::kPartialRowWiseAdam:
      return {2, true};
  }
  return {0};
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

std::string_view to_string(StepRule rule) {
  for (const auto& [known, name] : kRules) {
    if (known == rule) {
      return name;
    }
  }
  return "?";
}

StepRule parse_rule(std::string_view op, std::string_view rule) {
  for (const auto& [known, name] : kRules) {
    if (name == rule) {
      return known;
    }
  }
  TORCH_CHECK_VALUE(false, op,
                    ": rule must be sgd, adagrad, rowwise_adagrad, adam, sparse_adam, "
                    "partial_rowwise_adam or lamb, got '",
                    rule, "'");
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

void check_target(std::string_view op, const StepTarget& target, StepRule rule,
                  const StepNumbers& numbers) {
  const at::Tensor& weight = target.weight;
  TORCH_CHECK(weight.dim() == 2, op,
              ": 'weight' must be 2-D [num_embeddings, embedding_dim], got shape ", weight.sizes());
  const at::ScalarType type = weight.scalar_type();
  TORCH_CHECK_TYPE(
      type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16, op,
      ": weight must be float, double, half or bfloat16, got ", type);
  TORCH_CHECK(weight.is_contiguous(), op, ": weight must be contiguous");
  const StateShape shape = state_shape(rule, numbers, target.state.size());
  TORCH_CHECK_VALUE(target.state.size() == shape.size, op, ": rule '", to_string(rule), "' keeps ",
                    shape.size, " tensors, got ", target.state.size());
  for (std::size_t i = 0; i < shape.size; ++i) {
    const at::Tensor& state = target.state[i];
    const std::string name = "state[" + std::to_string(i) + "]";
    const bool is_per_row = shape.last_is_per_row && i + 1 == shape.size;
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

StepTarget step_target(const at::Tensor& weight, at::TensorList state,
                       const std::optional<at::Tensor>& row_steps, bool counts_rows,
                       const std::optional<at::Tensor>& master, std::optional<std::int64_t> seed) {
  return {.weight = weight,
          .state = state.vec(),
          .row_steps = row_steps.value_or(at::Tensor()),
          .counts_rows = counts_rows,
          .master = master.value_or(at::Tensor()),
          .seed = seed};
}

void check_row_step(std::string_view op, const StepTarget& target, const at::Tensor& rows,
                    const at::Tensor& values, StepRule rule, const StepNumbers& numbers) {
  check_target(op, target, rule, numbers);
  TORCH_CHECK_TYPE(rows.scalar_type() == at::kLong, op, ": rows must be int64, got ",
                   rows.scalar_type());
  TORCH_CHECK(rows.dim() == 1, op, ": rows must be 1-D, got shape ", rows.sizes());
  TORCH_CHECK_TYPE(values.scalar_type() == target.weight.scalar_type(), op,
                   ": values must be of weight's dtype, ", target.weight.scalar_type(), ", got ",
                   values.scalar_type());
  TORCH_CHECK(values.dim() == 2 && values.size(0) == rows.size(0) &&
                  values.size(1) == target.weight.size(1),
              op, ": values must have shape [", rows.size(0), ", ", target.weight.size(1),
              "], got ", values.sizes());
  for (const auto& [name, tensor] : {std::pair("rows", rows), std::pair("values", values)}) {
    TORCH_CHECK(tensor.device() == target.weight.device(), op, ": ", name,
                " must be on weight's device, ", target.weight.device(), ", got ", tensor.device());
  }
}

void check_embedding_step(std::string_view op, const StepTarget& target,
                          const at::Tensor& grad_output, const at::Tensor& indices, StepRule rule,
                          const StepNumbers& numbers, std::optional<std::int64_t> padding_idx) {
  check_target(op, target, rule, numbers);
  check_gradient(op, grad_output, indices, "auto");
  check_rows(op, target.weight.size(0), padding_idx);
  TORCH_CHECK_TYPE(grad_output.scalar_type() == target.weight.scalar_type(), op,
                   ": grad_output must be of weight's dtype, ", target.weight.scalar_type(),
                   ", got ", grad_output.scalar_type());
  TORCH_CHECK(grad_output.size(-1) == target.weight.size(1), op,
              ": the last dim of grad_output must be weight's, ", target.weight.size(1), ", got ",
              grad_output.size(-1));
  TORCH_CHECK(indices.device() == target.weight.device(), op,
              ": indices must be on weight's device, ", target.weight.device(), ", got ",
              indices.device());
}

void check_row_catch_up(std::string_view op, const StepTarget& target,
                        const std::optional<at::Tensor>& indices, StepRule rule,
                        const at::Tensor& history, std::int64_t last_step) {
  TORCH_CHECK_VALUE(rule == StepRule::kSgd || rule == StepRule::kAdagrad || rule == StepRule::kAdam,
                    op, ": rule must be sgd, adagrad or adam, got '", to_string(rule), "'");
  StepNumbers numbers;
  // Whether SGD has momentum: it is the state that says so.
  numbers.beta1 = target.state.empty() ? 0 : 1;
  check_target(op, target, rule, numbers);
  TORCH_CHECK(target.row_steps.defined(), op, ": row_steps must be given");
  TORCH_CHECK_TYPE(history.scalar_type() == at::kDouble, op, ": history must be double, got ",
                   history.scalar_type());
  TORCH_CHECK(history.dim() == 2 && history.size(0) > 0 &&
                  history.size(1) == static_cast<std::int64_t>(kNumStepNumbers),
              op, ": history must have shape [K, ", kNumStepNumbers, "] with a line at least, got ",
              history.sizes());
  TORCH_CHECK_VALUE(last_step >= 0, op, ": last_step must not be negative, got ", last_step);
  if (indices) {
    TORCH_CHECK_TYPE(indices->scalar_type() == at::kLong || indices->scalar_type() == at::kInt, op,
                     ": indices must be int32 or int64, got ", indices->scalar_type());
    TORCH_CHECK(indices->device() == target.weight.device(), op,
                ": indices must be on weight's device, ", target.weight.device(), ", got ",
                indices->device());
  }
}

std::vector<StepNumbers> parse_history(std::string_view op, const at::Tensor& history) {
  TORCH_CHECK(history.device().is_cpu(), op, ": history must be on the CPU, got ",
              history.device());
  const at::Tensor lines = history.contiguous();
  const auto* const data = lines.const_data_ptr<double>();
  std::vector<StepNumbers> result;
  std::int64_t before = 0;
  for (std::int64_t line = 0; line < lines.size(0); ++line) {
    const auto count = kNumStepNumbers;
    result.push_back(
        parse_numbers(op, at::ArrayRef(data + static_cast<std::size_t>(line) * count, count)));
    TORCH_CHECK_VALUE(result.back().step > before, op,
                      ": the steps of history must ascend from 1 or more, got ", before, " and ",
                      result.back().step);
    before = result.back().step;
  }
  return result;
}

void row_step(const StepTarget& target, const at::Tensor& rows, const at::Tensor& values,
              StepRule rule, const StepNumbers& numbers) {
  static const auto op =
      find_op<void(const at::Tensor&, at::TensorList, const std::optional<at::Tensor>&, bool,
                   const std::optional<at::Tensor>&, std::optional<std::int64_t>, const at::Tensor&,
                   const at::Tensor&, std::string_view, at::ArrayRef<double>)>(
          "rowlane::row_step_");
  op.call(target.weight, target.state, optional_of(target.row_steps), target.counts_rows,
          optional_of(target.master), target.seed, rows, values, to_string(rule), to_list(numbers));
}

void embedding_step(const StepTarget& target, const at::Tensor& grad_output,
                    const at::Tensor& indices, StepRule rule, const StepNumbers& numbers,
                    std::optional<std::int64_t> padding_idx, bool scale_grad_by_freq) {
  static const auto op =
      find_op<void(const at::Tensor&, at::TensorList, const std::optional<at::Tensor>&, bool,
                   const std::optional<at::Tensor>&, std::optional<std::int64_t>, const at::Tensor&,
                   const at::Tensor&, std::string_view, at::ArrayRef<double>,
                   std::optional<std::int64_t>, bool)>("rowlane::embedding_step_");
  op.call(target.weight, target.state, optional_of(target.row_steps), target.counts_rows,
          optional_of(target.master), target.seed, grad_output, indices, to_string(rule),
          to_list(numbers), padding_idx, scale_grad_by_freq);
}

void row_catch_up(const StepTarget& target, const std::optional<at::Tensor>& indices, StepRule rule,
                  const at::Tensor& history, std::int64_t last_step) {
  static const auto op = find_op<void(const at::Tensor&, at::TensorList, const at::Tensor&,
                                      const std::optional<at::Tensor>&, std::optional<std::int64_t>,
                                      const std::optional<at::Tensor>&, std::string_view,
                                      const at::Tensor&, std::int64_t)>("rowlane::row_catch_up_");
  op.call(target.weight, target.state, target.row_steps, optional_of(target.master), target.seed,
          indices, to_string(rule), history, last_step);
}

}  // namespace rowlane::ops
