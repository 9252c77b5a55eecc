// The optimizers that torch doesn't have, against their formulas, row by row in double.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <functional>
#include <memory>
#include <tuple>
#include <vector>

#include "rowlane/optim/adam.h"
#include "rowlane/optim/lamb.h"
#include "rowlane/optim/partial_rowwise_adam.h"
#include "rowlane/optim/rowwise_adagrad.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

constexpr double kBeta1 = 0.8;
constexpr double kBeta2 = 0.97;
constexpr double kEps = 1e-3;
constexpr double kLr = 0.03;
constexpr double kAdagradLr = 0.2;
// Small, because near a minimum the direction of r, and so that of LAMB's step, is noise.
constexpr double kLambLr = 0.003;
constexpr double kDecay = 0.02;

// A row, and what a rule keeps for it.
struct Row {
  std::vector<double> w;
  std::vector<double> m = std::vector<double>(kDim, 0);
  std::vector<double> v = std::vector<double>(kDim, 0);
  double per_row = 0;
  int steps = 0;
};

using Formula = std::function<void(Row& row, const std::vector<double>& g, int step)>;

double mean_square(const std::vector<double>& g) {
  double sum = 0;
  for (const double x : g) {
    sum += x * x;
  }
  return sum / static_cast<double>(g.size());
}

double norm(const std::vector<double>& x) {
  return std::sqrt(mean_square(x) * static_cast<double>(x.size()));
}

void rowwise_adagrad(Row& row, std::vector<double> g, int /*step*/) {
  for (std::size_t i = 0; i < g.size(); ++i) {
    g[i] += kDecay * row.w[i];
  }
  row.per_row += mean_square(g);
  for (std::size_t i = 0; i < g.size(); ++i) {
    row.w[i] -= kAdagradLr * g[i] / (std::sqrt(row.per_row) + kEps);
  }
}

void partial_rowwise_adam(Row& row, const std::vector<double>& g, int step) {
  row.per_row = kBeta2 * row.per_row + (1 - kBeta2) * mean_square(g);
  const double v_hat = row.per_row / (1 - std::pow(kBeta2, step));
  for (std::size_t i = 0; i < g.size(); ++i) {
    row.m[i] = kBeta1 * row.m[i] + (1 - kBeta1) * g[i];
    const double m_hat = row.m[i] / (1 - std::pow(kBeta1, step));
    row.w[i] -= kLr * (m_hat / (std::sqrt(v_hat) + kEps) + kDecay * row.w[i]);
  }
}

void lamb(Row& row, const std::vector<double>& g, int step) {
  std::vector<double> r(g.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    row.m[i] = kBeta1 * row.m[i] + (1 - kBeta1) * g[i];
    row.v[i] = kBeta2 * row.v[i] + (1 - kBeta2) * g[i] * g[i];
    const double m_hat = row.m[i] / (1 - std::pow(kBeta1, step));
    const double v_hat = row.v[i] / (1 - std::pow(kBeta2, step));
    r[i] = m_hat / (std::sqrt(v_hat) + kEps) + kDecay * row.w[i];
  }
  const double ratio = norm(row.w) == 0 || norm(r) == 0 ? 1 : norm(row.w) / norm(r);
  for (std::size_t i = 0; i < g.size(); ++i) {
    row.w[i] -= kLambLr * ratio * r[i];
  }
}

void adam(Row& row, std::vector<double> g, int step) {
  for (std::size_t i = 0; i < g.size(); ++i) {
    g[i] += kDecay * row.w[i];
    row.m[i] = kBeta1 * row.m[i] + (1 - kBeta1) * g[i];
    row.v[i] = kBeta2 * row.v[i] + (1 - kBeta2) * g[i] * g[i];
    const double m_hat = row.m[i] / (1 - std::pow(kBeta1, step));
    const double v_hat = row.v[i] / (1 - std::pow(kBeta2, step));
    row.w[i] -= kLr * m_hat / (std::sqrt(v_hat) + kEps);
  }
}

// The training of `train`, in double, with the formula for the rows that a batch names.
Trained train_reference(const Formula& formula, const std::vector<torch::Tensor>& batches,
                        bool per_row_steps = false) {
  std::vector<Row> rows(kNumRows);
  const auto initial = initial_table().to(torch::kDouble);
  const auto to_vector = [](const torch::Tensor& row) {
    return std::vector<double>(row.const_data_ptr<double>(),
                               row.const_data_ptr<double>() + row.numel());
  };
  for (std::int64_t r = 0; r < kNumRows; ++r) {
    rows[r].w = to_vector(initial[r]);
  }
  const auto as_table = [&] {
    auto table = torch::empty({kNumRows, kDim}, torch::kDouble);
    for (std::int64_t r = 0; r < kNumRows; ++r) {
      table[r].copy_(torch::tensor(rows[r].w, torch::kDouble));
    }
    return table;
  };
  Trained trained;
  int step = 0;
  for (const torch::Tensor& indices : batches) {
    ++step;
    const auto looked_up = torch::embedding(as_table(), indices).requires_grad_();
    const auto loss = loss_of(looked_up, indices);
    trained.losses.push_back(loss.item<double>());
    const auto grad_output = torch::autograd::grad({loss}, {looked_up})[0];
    const auto grad = oracle_backward(grad_output, indices, kNumRows, kPadding);
    const auto counts = torch::bincount(indices.reshape(-1), {}, kNumRows);
    for (std::int64_t r = 0; r < kNumRows; ++r) {
      if (counts[r].item<std::int64_t>() > 0 && r != kPadding) {
        ++rows[r].steps;
        formula(rows[r], to_vector(grad[r]), per_row_steps ? rows[r].steps : step);
      }
    }
  }
  trained.table = as_table();
  return trained;
}

template <typename Mine, typename OptionsT>
void expect_equal_formula(const OptionsT& options, const Formula& formula,
                          const optim::RowOptions& row_options = {}) {
  const auto batches = make_batches();
  const Trained expected = train_reference(formula, batches, row_options.per_row_steps());
  for (const torch::ScalarType dtype : {torch::kFloat, torch::kDouble}) {
    SCOPED_TRACE(dtype);
    // Of some 200 roundings of numbers up to 4.
    const double tolerance = dtype == torch::kFloat ? 5e-6 : 1e-13;
    for (const bool is_fused : {false, true}) {
      SCOPED_TRACE(is_fused ? "fused" : "unfused");
      auto table = make_table(dtype);
      Mine mine(table->parameters(), options, row_options);
      if (is_fused) {
        table->fuse(mine);
      }
      const auto losses =
          train([&](const torch::Tensor& indices) { return table(indices); }, mine, batches);
      EXPECT_TRUE(near(table->weight, expected.table, tolerance));
      EXPECT_TRUE(near(losses, expected.losses, tolerance));
      EXPECT_LT(losses[191], losses[1] * 0.9);
    }
  }
}

TEST(LikeTheFormula, RowWiseAdagrad) {
  expect_equal_formula<optim::RowWiseAdagrad>(
      optim::RowWiseAdagradOptions(kAdagradLr).weight_decay(kDecay).eps(kEps), &rowwise_adagrad);
}

TEST(LikeTheFormula, PartialRowWiseAdam) {
  expect_equal_formula<optim::PartialRowWiseAdam>(
      optim::PartialRowWiseAdamOptions(kLr).betas({kBeta1, kBeta2}).weight_decay(kDecay).eps(kEps),
      &partial_rowwise_adam);
}

TEST(LikeTheFormula, LAMB) {
  expect_equal_formula<optim::LAMB>(
      optim::LAMBOptions(kLambLr).betas({kBeta1, kBeta2}).weight_decay(kDecay).eps(kEps), &lamb);
}

TEST(LikeTheFormula, LazyAdam) {
  expect_equal_formula<optim::Adam>(
      optim::AdamOptions(kLr).betas({kBeta1, kBeta2}).weight_decay(kDecay).eps(kEps), &adam);
}

TEST(LikeTheFormula, AdamThatCountsTheStepsOfRows) {
  expect_equal_formula<optim::Adam>(
      optim::AdamOptions(kLr).betas({kBeta1, kBeta2}).weight_decay(kDecay).eps(kEps), &adam,
      optim::RowOptions().per_row_steps(true));
}

TEST(LikeTheFormula, LAMBThatCountsTheStepsOfRows) {
  expect_equal_formula<optim::LAMB>(
      optim::LAMBOptions(kLambLr).betas({kBeta1, kBeta2}).weight_decay(kDecay).eps(kEps), &lamb,
      optim::RowOptions().per_row_steps(true));
}

// ---------------------------------------------------------------------------------------------
// Dense gradients of the optimizers that are ours

// A step by a dense gradient equals one by a gradient that names all rows of the same table.
template <typename Mine, typename OptionsT>
void expect_dense_is_all_rows(const OptionsT& options, const torch::Tensor& initial,
                              const torch::Tensor& as_table) {
  torch::Tensor parameter = initial.clone().requires_grad_();
  torch::Tensor table = as_table.clone().requires_grad_();
  Mine of_parameter(std::vector<torch::Tensor>{parameter}, options);
  Mine of_table(std::vector<torch::Tensor>{table}, options);
  for (int step = 0; step < 5; ++step) {
    const auto grad = torch::randn(initial.sizes());
    parameter.mutable_grad() = grad;
    table.mutable_grad() = grad.view(table.sizes()).to_sparse(1);
    of_parameter.step();
    of_table.step();
  }
  EXPECT_TRUE(bit_equal(parameter.view(table.sizes()), table));
  EXPECT_FALSE(parameter.equal(initial));
}

TEST(DenseGradients, AreStepsOfAllRows) {
  torch::manual_seed(3);
  const auto matrix = torch::randn({5, 6});
  expect_dense_is_all_rows<optim::RowWiseAdagrad>(optim::RowWiseAdagradOptions(0.1), matrix,
                                                  matrix);
  expect_dense_is_all_rows<optim::PartialRowWiseAdam>(optim::PartialRowWiseAdamOptions(0.1), matrix,
                                                      matrix);
  expect_dense_is_all_rows<optim::LAMB>(optim::LAMBOptions(0.1), matrix, matrix);
}

TEST(DenseGradients, OfOtherRanksHaveARowPerFirstIndex) {
  torch::manual_seed(3);
  const auto cube = torch::randn({5, 2, 3});
  expect_dense_is_all_rows<optim::RowWiseAdagrad>(optim::RowWiseAdagradOptions(0.1), cube,
                                                  cube.view({5, 6}));
  expect_dense_is_all_rows<optim::LAMB>(optim::LAMBOptions(0.1), cube, cube.view({5, 6}));
  const auto bias = torch::randn({6});
  expect_dense_is_all_rows<optim::RowWiseAdagrad>(optim::RowWiseAdagradOptions(0.1), bias,
                                                  bias.view({6, 1}));
  expect_dense_is_all_rows<optim::PartialRowWiseAdam>(optim::PartialRowWiseAdamOptions(0.1), bias,
                                                      bias.view({6, 1}));
  const auto scalar = torch::randn({});
  expect_dense_is_all_rows<optim::PartialRowWiseAdam>(optim::PartialRowWiseAdamOptions(0.1), scalar,
                                                      scalar.view({1, 1}));
}

TEST(DenseGradients, OfABiasAreOneRowOfLAMB) {
  torch::manual_seed(3);
  const auto bias = torch::randn({6});
  expect_dense_is_all_rows<optim::LAMB>(optim::LAMBOptions(0.1), bias, bias.view({1, 6}));
}

}  // namespace
}  // namespace rowlane::testing
