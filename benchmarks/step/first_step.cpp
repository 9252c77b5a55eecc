#include "step/first_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "harness/format.h"

namespace rowlane::bench {
namespace {

// From a state of zeros.
at::Tensor first_update(StepOp op, const at::Tensor& grad) {
  switch (op) {
    case StepOp::kSgd:
      return kLearningRate * grad;
    case StepOp::kAdagrad:
      return kLearningRate * grad / (grad.abs() + kAdagradEps);
    case StepOp::kSparseAdam: {
      const double root = std::sqrt(1 - kBeta2);
      return kLearningRate * root * grad / (root * grad.abs() + kAdamEps);
    }
    default:
      return kLearningRate * grad / (grad.abs() + kAdamEps);
  }
}

}  // namespace

FirstStep::FirstStep(StepOp op, at::Tensor table, at::Tensor indices, at::Tensor output_grad)
    : table_(std::move(table)), indices_(std::move(indices)), output_grad_(std::move(output_grad)) {
  at::Tensor positions;
  at::Tensor counts;
  std::tie(rows_, positions, counts) =
      at::_unique2(indices_.flatten().to(at::kLong), /*sorted=*/true, /*return_inverse=*/true,
                   /*return_counts=*/true);
  most_repeats_ = counts.max().item<std::int64_t>();
  before_ = table_.index_select(0, rows_);
  const at::Tensor sums =
      at::zeros(before_.sizes(), at::kDouble)
          .index_add_(0, positions, output_grad_.flatten(0, -2).to(at::kDouble));
  after_ = before_.to(at::kDouble) - first_update(op, sums);
  const auto* const rows = rows_.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < table_.size(0) && other_row_ < 0; ++row) {
    if (row >= rows_.numel() || rows[row] != row) {
      other_row_ = row;
    }
  }
}

double FirstStep::check(const Stepper& stepper) const {
  // Roundings of the float of largest magnitude: those of a step's few operations, and those of the
  // additions of torch's sparse SGD, which takes the gradients of a row from it one by one.
  const double roundings =
      4.0 + (stepper.impl == "nn_embedding_sparse" ? static_cast<double>(most_repeats_) : 0.0);
  const double most = roundings * std::exp2(-24) * after_.abs().max().item<double>();
  const at::Tensor other = other_row_ < 0 ? at::Tensor() : table_[other_row_].clone();
  stepper.step(indices_, output_grad_);
  const double error =
      (table_.index_select(0, rows_).to(at::kDouble) - after_).abs().max().item<double>();
  table_.index_copy_(0, rows_, before_);
  if (!(error <= most)) {
    throw std::runtime_error(display_name(stepper) + " is wrong by " + format_error(error) +
                             " after its first step; rounding explains " + format_error(most) +
                             ".");
  }
  if (other.defined() && !other.equal(table_[other_row_])) {
    throw std::runtime_error(display_name(stepper) + " has changed row " +
                             std::to_string(other_row_) + ", which isn't looked up.");
  }
  return error;
}

}  // namespace rowlane::bench
