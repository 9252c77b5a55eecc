#include "tests/optim/training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/adamw.h"
#include "rowlane/optim/lamb.h"
#include "rowlane/optim/partial_rowwise_adam.h"
#include "rowlane/optim/rowwise_adagrad.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"

namespace rowlane::testing {
namespace {

torch::Generator generator(std::uint64_t seed) { return at::detail::createCPUGenerator(seed); }

torch::Tensor rows_to_learn() {
  static const torch::Tensor rows =
      0.5 * torch::randn({kNumRows, kDim}, generator(7), torch::kDouble);
  return rows;
}

template <typename OptimizerT, typename OptionsT>
Rule rule(std::string name, OptionsT defaults, bool has_dense_twin = false) {
  return {std::move(name),
          [defaults](std::vector<torch::Tensor> parameters, const optim::RowOptions& options) {
            return std::make_shared<OptimizerT>(std::move(parameters), defaults, options);
          },
          has_dense_twin};
}

}  // namespace

std::vector<torch::Tensor> make_batches(int num_steps) {
  torch::Generator random = generator(5);
  std::vector<torch::Tensor> batches;
  for (int step = 0; step < num_steps; ++step) {
    switch (step % 10) {
      case 3:
        batches.push_back(torch::empty({0}, torch::kLong));
        break;
      case 5:
        batches.push_back(torch::full({4}, kPadding, torch::kLong));
        break;
      case 7:
        batches.push_back(torch::full({1}, step % kNumRows, torch::kLong));
        break;
      case 8:  // rows of the last quarter, at the beginning and near the end alone
        batches.push_back(step < 20 || step > 170 ? torch::arange(kNumRows * 3 / 4, kNumRows)
                                                  : torch::full({3}, 1, torch::kLong));
        break;
      default:
        batches.push_back(
            torch::rand({3, 8}, random).pow(3).mul(kNumRows * 3 / 4).to(torch::kLong));
    }
  }
  return batches;
}

torch::Tensor initial_table(torch::ScalarType dtype) {
  torch::Tensor table = 0.5 * torch::randn({kNumRows, kDim}, generator(11));
  table[kPadding].zero_();
  return table.to(dtype);
}

nn::Embedding make_table(torch::ScalarType dtype, bool row_gradient) {
  return nn::Embedding(nn::EmbeddingOptions(kNumRows, kDim)
                           .padding_idx(kPadding)
                           .row_gradient(row_gradient)
                           ._weight(initial_table(dtype)));
}

torch::nn::Embedding make_torch_table(bool is_sparse, torch::ScalarType dtype) {
  return torch::nn::Embedding(torch::nn::EmbeddingOptions(kNumRows, kDim)
                                  .padding_idx(kPadding)
                                  .sparse(is_sparse)
                                  ._weight(initial_table(dtype)));
}

torch::Tensor loss_of(const torch::Tensor& rows, const torch::Tensor& indices) {
  const auto wanted = torch::embedding(rows_to_learn(), indices).to(rows.scalar_type());
  return (rows - wanted).pow(2).sum() * 0.25;
}

std::vector<double> train(const LookUpFunction& look_up, torch::optim::Optimizer& optimizer,
                          const std::vector<torch::Tensor>& batches,
                          const std::function<void(int)>& after_step) {
  std::vector<double> losses;
  int step = 0;
  for (const torch::Tensor& indices : batches) {
    optimizer.zero_grad();
    const auto loss = loss_of(look_up(indices), indices);
    loss.backward();
    optimizer.step();
    losses.push_back(loss.item<double>());
    if (after_step) {
      after_step(step);
    }
    ++step;
  }
  return losses;
}

::testing::AssertionResult near(const torch::Tensor& actual, const torch::Tensor& expected,
                                double tolerance) {
  const double difference =
      (actual.detach().to(torch::kDouble) - expected.detach().to(torch::kDouble))
          .abs()
          .max()
          .item<double>();
  if (difference <= tolerance) {  // not for NaN
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "differs by " << difference;
}

::testing::AssertionResult near(const std::vector<double>& actual,
                                const std::vector<double>& expected, double tolerance) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " and " << expected.size() << " steps";
  }
  const double largest = *std::ranges::max_element(expected);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!(std::abs(actual[i] - expected[i]) <= tolerance * largest)) {
      return ::testing::AssertionFailure()
             << "in step " << i << " " << actual[i] << " instead of " << expected[i];
    }
  }
  return ::testing::AssertionSuccess();
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

const std::vector<Rule>& all_rules() {
  using namespace optim;  // NOLINT(google-build-using-namespace): the names of the table below
  static const std::vector<Rule> rules{
      rule<SGD>("SGD", SGDOptions(0.1), true),
      rule<SGD>("SGDMomentum", SGDOptions(0.05).momentum(0.9).dampening(0.3).weight_decay(0.01),
                true),
      rule<SGD>("SGDNesterov", SGDOptions(0.05).momentum(0.8).nesterov(true), true),
      rule<Adagrad>("Adagrad", AdagradOptions(0.2).lr_decay(0.01), true),
      rule<Adagrad>("AdagradDecay",
                    AdagradOptions(0.2).weight_decay(0.01).initial_accumulator_value(0.125), true),
      rule<RowWiseAdagrad>("RowWiseAdagrad", RowWiseAdagradOptions(0.2).weight_decay(0.01)),
      rule<Adam>("Adam", AdamOptions(0.02).weight_decay(0.01), true),
      rule<Adam>("AMSGrad", AdamOptions(0.02).amsgrad(true), true),
      rule<AdamW>("AdamW", AdamWOptions(0.02).weight_decay(0.05), true),
      rule<SparseAdam>("SparseAdam", SparseAdamOptions(0.02)),
      rule<PartialRowWiseAdam>("PartialRowWiseAdam",
                               PartialRowWiseAdamOptions(0.02).weight_decay(0.01)),
      rule<LAMB>("LAMB", LAMBOptions(0.02).weight_decay(0.01)),
  };
  return rules;
}

}  // namespace rowlane::testing
