// Small trainings of a table, for comparing optimizers.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "rowlane/nn/embedding.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::testing {

inline constexpr std::int64_t kNumRows = 40;
inline constexpr std::int64_t kDim = 7;
inline constexpr std::int64_t kPadding = 3;
inline constexpr int kNumSteps = 200;

// Batches of indices: many repeats of few rows, rows that stay away for long, nothing, the padding
// row alone, one row alone. The same in every run.
std::vector<torch::Tensor> make_batches(int num_steps = kNumSteps);

// A table [kNumRows, kDim], the same in every run; the padding row is zero.
torch::Tensor initial_table(torch::ScalarType dtype = torch::kFloat);

nn::Embedding make_table(torch::ScalarType dtype = torch::kFloat, bool row_gradient = true);
torch::nn::Embedding make_torch_table(bool is_sparse, torch::ScalarType dtype = torch::kFloat);

// What a training did: the loss of every step, and the table at its end.
struct Trained {
  std::vector<double> losses;
  torch::Tensor table;
};

using LookUpFunction = std::function<torch::Tensor(const torch::Tensor& indices)>;

// Steps of zero_grad, look-up, backward, step. The loss is the squared distance of the looked-up
// rows to rows that they are to learn. `after_step` is called with the number of the step.
std::vector<double> train(const LookUpFunction& look_up, torch::optim::Optimizer& optimizer,
                          const std::vector<torch::Tensor>& batches,
                          const std::function<void(int)>& after_step = nullptr);

// The loss of `train` for one batch.
torch::Tensor loss_of(const torch::Tensor& rows, const torch::Tensor& indices);

// |actual - expected| <= tolerance everywhere.
::testing::AssertionResult near(const torch::Tensor& actual, const torch::Tensor& expected,
                                double tolerance);
// The curves agree to `tolerance` of their largest value.
::testing::AssertionResult near(const std::vector<double>& actual,
                                const std::vector<double>& expected, double tolerance);

// The message of the c10::Error that `call` throws; a test failure if it throws none.
std::string message_of(const std::function<void()>& call);

// An optimizer of a table by each of the rules, by name.
struct Rule {
  std::string name;
  std::function<std::shared_ptr<torch::optim::Optimizer>(std::vector<torch::Tensor> parameters,
                                                         const optim::RowOptions& options)>
      make;
  bool has_dense_twin = false;
};
inline void PrintTo(const Rule& rule, std::ostream* stream) { *stream << rule.name; }
const std::vector<Rule>& all_rules();

// The other base of an optimizer of Rowlane.
inline optim::RowOptimizer& rows_of(torch::optim::Optimizer& optimizer) {
  return dynamic_cast<optim::RowOptimizer&>(optimizer);
}

}  // namespace rowlane::testing
