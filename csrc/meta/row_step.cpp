// Checks without data: what torch.compile, export and meta tensors run.
#include "csrc/ops/row_step.h"

#include <torch/library.h>

namespace rowlane {
namespace {

void row_step_meta(const at::Tensor& weight, at::TensorList state,
                   const std::optional<at::Tensor>& row_steps, bool counts_rows,
                   const std::optional<at::Tensor>& master, std::optional<std::int64_t> seed,
                   const at::Tensor& rows, const at::Tensor& values, std::string_view rule,
                   at::ArrayRef<double> numbers) {
  constexpr const char* kOp = "rowlane::row_step_";
  ops::check_row_step(kOp, ops::step_target(weight, state, row_steps, counts_rows, master, seed),
                      rows, values, ops::parse_rule(kOp, rule), ops::parse_numbers(kOp, numbers));
}

void embedding_step_meta(const at::Tensor& weight, at::TensorList state,
                         const std::optional<at::Tensor>& row_steps, bool counts_rows,
                         const std::optional<at::Tensor>& master, std::optional<std::int64_t> seed,
                         const at::Tensor& grad_output, const at::Tensor& indices,
                         std::string_view rule, at::ArrayRef<double> numbers,
                         std::optional<std::int64_t> padding_idx, bool /*scale_grad_by_freq*/) {
  constexpr const char* kOp = "rowlane::embedding_step_";
  ops::check_embedding_step(
      kOp, ops::step_target(weight, state, row_steps, counts_rows, master, seed), grad_output,
      indices, ops::parse_rule(kOp, rule), ops::parse_numbers(kOp, numbers), padding_idx);
}

void row_catch_up_meta(const at::Tensor& weight, at::TensorList state, const at::Tensor& row_steps,
                       const std::optional<at::Tensor>& master, std::optional<std::int64_t> seed,
                       const std::optional<at::Tensor>& indices, std::string_view rule,
                       const at::Tensor& history, std::int64_t last_step) {
  constexpr const char* kOp = "rowlane::row_catch_up_";
  ops::check_row_catch_up(
      kOp, ops::step_target(weight, state, row_steps, /*counts_rows=*/false, master, seed), indices,
      ops::parse_rule(kOp, rule), history, last_step);
}

}  // namespace

TORCH_LIBRARY_IMPL(rowlane, Meta, m) {
  m.impl("row_step_", &row_step_meta);
  m.impl("embedding_step_", &embedding_step_meta);
  m.impl("row_catch_up_", &row_catch_up_meta);
}

}  // namespace rowlane
