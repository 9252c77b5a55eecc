// The ways to train a table that are compared: forward, backward and the optimizer's step.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace rowlane::bench {

enum class StepOp : std::uint8_t { kSgd, kAdagrad, kSparseAdam, kAdam };

inline constexpr std::array<StepOp, 4> kStepOps{StepOp::kSgd, StepOp::kAdagrad, StepOp::kSparseAdam,
                                                StepOp::kAdam};

// "step_sgd", "step_adagrad", "step_sparse_adam", "step_adam".
std::string to_string(StepOp op);

// The tensors of the table's shape that the optimizer keeps.
std::int64_t num_states(StepOp op);

// The numbers that all take their steps with: torch's defaults, but for this learning rate.
inline constexpr double kLearningRate = 1e-3;
inline constexpr double kAdagradEps = 1e-10;
inline constexpr double kAdamEps = 1e-8;
inline constexpr double kBeta2 = 0.999;

struct Stepper {
  // As in the JSON: rowlane, nn_embedding_sparse or nn_embedding_dense.
  std::string impl;
  // Rowlane's: fused, unfused, or fused dense_equivalent; "default" for the others.
  std::string algorithm;
  // Looks indices [*] up, takes output_grad [*, dim] for the gradient of the result, and steps.
  std::function<void(const at::Tensor& indices, const at::Tensor& output_grad)> step;
};

// "rowlane fused", "nn.Embedding(sparse)", "nn.Embedding dense".
std::string display_name(const Stepper& stepper);

// Rowlane's first, fused first of all. They share `table` [num_rows, dim], whose rows they change,
// and keep states of their own.
std::vector<Stepper> make_steppers(StepOp op, const at::Tensor& table);
Stepper make_fused(StepOp op, const at::Tensor& table);

}  // namespace rowlane::bench
