// Steps of optimizers: the dispatcher ops as functions, the rules with numbers to test, and a
// reference in double that is written to be read.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "csrc/ops/step_rule.h"

namespace rowlane::testing {

using ops::StepNumbers;

// A rule, with numbers that make each of its terms count.
struct RuleCase {
  const char* name;
  const char* rule;
  StepNumbers numbers;
  int num_states;
  bool last_is_per_row = false;
};
std::vector<RuleCase> rule_cases();
// The one of that name.
RuleCase rule_case(std::string_view name);

// What a step changes.
struct StepTensors {
  torch::Tensor weight;
  std::vector<torch::Tensor> state = {};
  std::optional<torch::Tensor> row_steps = std::nullopt;
  bool counts_rows = false;
  std::optional<torch::Tensor> master = std::nullopt;
  std::optional<std::int64_t> seed = std::nullopt;

  [[nodiscard]] StepTensors clone() const;
  [[nodiscard]] StepTensors to(torch::DeviceType device) const;

  void row_step(const torch::Tensor& rows, const torch::Tensor& values, const RuleCase& rule) const;
  void embedding_step(const torch::Tensor& grad_output, const torch::Tensor& indices,
                      const RuleCase& rule, std::optional<std::int64_t> padding_idx = std::nullopt,
                      bool scale_grad_by_freq = false) const;
  // history: lines as in csrc/ops/row_step.h
  void catch_up(const std::optional<torch::Tensor>& indices, const char* rule,
                const std::vector<StepNumbers>& history, std::int64_t last_step) const;
};

// A table of random numbers in [-1, 1] that has taken some steps: states that roots are taken of
// are at least 0.1. On the CPU, the same in every run.
StepTensors random_table(const RuleCase& rule, std::int64_t num_rows, std::int64_t dim,
                         torch::ScalarType dtype, torch::ScalarType state_dtype);

// The same numbers in double, and one step after the other.
class StepReference {
 public:
  explicit StepReference(const StepTensors& tensors);

  // Step t of a row with gradient grad [dim], double.
  void step(std::int64_t row, const torch::Tensor& grad, const RuleCase& rule, std::int64_t t);

  [[nodiscard]] const torch::Tensor& weight() const { return weight_; }
  [[nodiscard]] const std::vector<torch::Tensor>& state() const { return state_; }

 private:
  torch::Tensor weight_;
  std::vector<torch::Tensor> state_;
};

}  // namespace rowlane::testing
