// Steps of gradient zero that rows have missed: as if each had been taken.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/oracle.h"
#include "tests/support/steps.h"

namespace rowlane::testing {
namespace {

// The numbers of step t.
const StepNumbers& numbers_at(const std::vector<StepNumbers>& history, std::int64_t t) {
  std::size_t line = 0;
  while (line + 1 < history.size() && history[line + 1].step <= t) {
    ++line;
  }
  return history[line];
}

// From step 1 on, and with other learning rates from steps 20 and 150 on.
std::vector<StepNumbers> history_of(const RuleCase& rule) {
  std::vector<StepNumbers> history(3, rule.numbers);
  history[0].step = 1;
  history[1].step = 20;
  history[1].lr *= 2;
  history[2].step = 150;
  history[2].lr *= 0.25;
  return history;
}

void replay(StepReference& reference, std::int64_t row, RuleCase rule,
            const std::vector<StepNumbers>& history, std::int64_t from, std::int64_t to) {
  const auto zero = torch::zeros({reference.weight().size(1)}, torch::kDouble);
  for (std::int64_t t = from + 1; t <= to; ++t) {
    rule.numbers = numbers_at(history, t);
    reference.step(row, zero, rule, t);
  }
}

class CatchUp : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override { torch::manual_seed(51); }

  [[nodiscard]] torch::Tensor on_device(const torch::Tensor& tensor) const {
    return tensor.to(GetParam());
  }
};

constexpr std::array kRules{"Sgd",     "SgdWeightDecay", "SgdDecoupled",    "Momentum", "Nesterov",
                            "Adagrad", "Adam",           "AdamWeightDecay", "AdamW",    "AmsGrad"};

TEST_P(CatchUp, IsAReplayOfDenseSteps) {
  constexpr std::int64_t kLastStep = 300;
  for (const char* name : kRules) {
    const RuleCase rule = rule_case(name);
    const auto history = history_of(rule);
    for (const std::int64_t dim : {1, 3, 16, 37}) {
      for (const auto dtype : {torch::kFloat, torch::kDouble, torch::kBFloat16}) {
        SCOPED_TRACE(::testing::Message() << name << " dim " << dim << " " << dtype);
        const auto accum = dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
        StepTensors tensors = random_table(rule, 8, dim, dtype, accum);
        // Up to date, by one step, by a few, by all; the first and the fourth are not named.
        tensors.row_steps = torch::tensor({7, 300, 299, 0, 0, 120, 293, 19}, torch::kLong);
        const auto indices = torch::tensor({{5, 1, 2}, {4, 6, 5}, {7, 7, 2}}, torch::kInt);
        StepReference reference(tensors);
        for (const std::int64_t row : {1, 2, 4, 5, 6, 7}) {
          const auto from = (*tensors.row_steps)[row].item<std::int64_t>();
          replay(reference, row, rule, history, from, kLastStep);
        }
        const StepTensors actual = tensors.clone().to(GetParam());
        actual.catch_up(on_device(indices), rule.rule, history, kLastStep);
        EXPECT_TRUE(bit_equal(*actual.row_steps,
                              torch::tensor({7, 300, 300, 0, 300, 300, 300, 300}, torch::kLong)));
        // A rounding in each step, and in the end one to the dtype.
        const double eps =
            static_cast<double>(kLastStep) * (accum == torch::kDouble ? 0x1p-52 : 0x1p-23);
        const auto is_near = [&](const torch::Tensor& tensor, const torch::Tensor& exact) {
          const double dtype_eps = tensor.scalar_type() == torch::kBFloat16 ? 0x1p-8 : 0;
          const auto error = (tensor.cpu().to(torch::kDouble) - exact).abs();
          return (error - eps * (1 + exact.abs()) - dtype_eps * exact.abs()).max().item<double>() <=
                 0;
        };
        EXPECT_TRUE(is_near(actual.weight, reference.weight()));
        for (std::size_t k = 0; k < tensors.state.size(); ++k) {
          EXPECT_TRUE(is_near(actual.state[k], reference.state()[k])) << k;
        }
      }
    }
  }
}

TEST_P(CatchUp, OfAllRowsIsThatOfEach) {
  for (const char* name : kRules) {
    SCOPED_TRACE(name);
    const RuleCase rule = rule_case(name);
    StepTensors tensors = random_table(rule, 700, 20, torch::kFloat, torch::kFloat);
    tensors.row_steps = torch::randint(90, {700}, torch::kLong);
    const StepTensors all = tensors.clone().to(GetParam());
    const StepTensors named = tensors.clone().to(GetParam());
    all.catch_up(std::nullopt, rule.rule, history_of(rule), 80);
    // Each several times, so that threads meet.
    const auto indices =
        torch::cat({torch::randperm(700), torch::arange(700), torch::randperm(700)});
    named.catch_up(on_device(indices), rule.rule, history_of(rule), 80);
    EXPECT_TRUE(bit_equal(all.weight, named.weight));
    EXPECT_TRUE(bit_equal(*all.row_steps, *named.row_steps));
    EXPECT_TRUE(bit_equal(*all.row_steps, tensors.row_steps->clamp_min(80)));
    for (std::size_t k = 0; k < all.state.size(); ++k) {
      EXPECT_TRUE(bit_equal(all.state[k], named.state[k]));
    }
    // A second time there is nothing to do.
    const StepTensors again = all.clone();
    again.catch_up(std::nullopt, rule.rule, history_of(rule), 80);
    EXPECT_TRUE(bit_equal(again.weight, all.weight));
  }
}

TEST_P(CatchUp, TakesAHistoryThatBeginsWhereTheRowsAre) {
  const RuleCase rule = rule_case("AdamW");
  StepTensors tensors = random_table(rule, 5, 4, torch::kFloat, torch::kFloat);
  tensors.row_steps = torch::tensor({30, 25, 160, 19, 40}, torch::kLong);
  const StepTensors whole = tensors.clone().to(GetParam());
  const StepTensors part = tensors.clone().to(GetParam());
  auto history = history_of(rule);
  whole.catch_up(std::nullopt, rule.rule, history, 170);
  history.erase(history.begin());
  part.catch_up(std::nullopt, rule.rule, history, 170);
  EXPECT_TRUE(bit_equal(whole.weight, part.weight));
}

// Rows that are looked up now and then, with catch-ups before they are read and at the end, beside
// an optimizer of torch that steps every row every time.
template <typename Optimizer, typename Options>
void expect_dense_equivalent(torch::DeviceType device, const char* name, StepNumbers numbers,
                             Options options) {
  SCOPED_TRACE(name);
  const auto table = torch::randn({30, 12}).div(10).to(device);
  const auto theirs = table.clone().requires_grad_();
  Optimizer optimizer({theirs}, options);
  RuleCase rule = rule_case(name);
  rule.numbers = numbers;
  StepTensors ours{.weight = table.clone()};
  for (int k = 0; k < rule.num_states; ++k) {
    ours.state.push_back(torch::zeros_like(table));
  }
  ours.row_steps = torch::zeros({30}, table.options().dtype(torch::kLong));
  std::vector<StepNumbers> history{numbers};
  for (std::int64_t step = 1; step <= 200; ++step) {
    if (step == 60 || step == 140) {
      auto& lr = static_cast<Options&>(optimizer.param_groups()[0].options());
      const double next = step == 60 ? numbers.lr * 3 : numbers.lr / 2;
      lr.lr(next);
      history.push_back(numbers);
      history.back().lr = next;
      history.back().step = step;
    }
    // Row 29 is not looked up for a long time, and no row in every seventh step.
    const std::int64_t size = step % 7 == 0 ? 0 : 5;
    const auto indices = torch::randint(step % 90 == 89 ? 30 : 29, {size}, torch::kLong).to(device);
    ours.catch_up(indices, rule.rule, history, step - 1);
    EXPECT_LE((ours.weight.index_select(0, indices) - theirs.detach().index_select(0, indices))
                  .abs()
                  .sum()
                  .template item<double>(),
              1e-4);
    const auto grad_output = torch::randn({size, 12}).div(10).to(device);
    rule.numbers = history.back();
    rule.numbers.step = step;
    ours.embedding_step(grad_output, indices, rule);
    theirs.mutable_grad() = torch::zeros_like(table).index_add_(0, indices, grad_output);
    optimizer.step();
  }
  ours.catch_up(std::nullopt, rule.rule, history, 200);
  EXPECT_LE((ours.weight - theirs.detach()).abs().max().template item<double>(), 1e-6);
}

TEST_P(CatchUp, MakesStepsOfRowsAloneThoseOfTorchsDenseOptimizers) {
  using torch::optim::AdamOptions;
  using torch::optim::AdamWOptions;
  using torch::optim::SGDOptions;
  expect_dense_equivalent<torch::optim::SGD>(
      GetParam(), "Momentum", {.lr = 0.01, .weight_decay = 0.02, .beta1 = 0.9, .beta2 = 0.1},
      SGDOptions(0.01).momentum(0.9).dampening(0.1).weight_decay(0.02));
  expect_dense_equivalent<torch::optim::SGD>(
      GetParam(), "Nesterov", {.lr = 0.01, .weight_decay = 0.02, .beta1 = 0.8, .is_nesterov = true},
      SGDOptions(0.01).momentum(0.8).weight_decay(0.02).nesterov(true));
  const StepNumbers adam{.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  expect_dense_equivalent<torch::optim::Adam>(GetParam(), "Adam", adam, AdamOptions(1e-3));
  expect_dense_equivalent<torch::optim::Adam>(GetParam(), "AmsGrad", adam,
                                              AdamOptions(1e-3).amsgrad(true));
  StepNumbers decayed = adam;
  decayed.weight_decay = 0.01;
  expect_dense_equivalent<torch::optim::Adam>(GetParam(), "AdamWeightDecay", decayed,
                                              AdamOptions(1e-3).weight_decay(0.01));
  decayed.is_decoupled = true;
  expect_dense_equivalent<torch::optim::AdamW>(GetParam(), "AdamW", decayed,
                                               AdamWOptions(1e-3).weight_decay(0.01));
}

INSTANTIATE_TEST_SUITE_P(AllDevices, CatchUp, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
