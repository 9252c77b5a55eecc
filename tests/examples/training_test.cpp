// The optimizer, schedule and initial values that fastai has, and a layer that can't see ahead.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "examples/support/causal_block.h"
#include "examples/support/fastai_adam.h"
#include "examples/support/fastai_init.h"
#include "examples/support/one_cycle.h"
#include "examples/support/topic_texts.h"

namespace rowlane::examples {
namespace {

TEST(OneCycleTest, RisesForAQuarterAndFallsAlongHalfACosine) {
  const auto expect = [](double progress, double learning_rate, double beta1) {
    const OneCyclePoint point = one_cycle(progress, 2);
    EXPECT_NEAR(point.learning_rate, learning_rate, 1e-12) << progress;
    EXPECT_NEAR(point.beta1, beta1, 1e-12) << progress;
  };
  expect(0, 0.08, 0.95);
  expect(0.125, (0.08 + 2) / 2, 0.9);
  expect(0.25, 2, 0.85);
  expect(0.25 + 0.375, (2 + 2e-5) / 2, 0.9);
  expect(1, 2e-5, 0.95);
}

// Two steps of the formula, in double.
TEST(FastaiAdamTest, StepsAsTheFormula) {
  const at::Tensor parameter = torch::tensor({1.F, -2.F}).requires_grad_();
  FastaiAdam optimizer(std::vector<at::Tensor>{parameter}, /*weight_decay=*/0.1);
  const double gradients[2][2] = {{0.5, 1e-5}, {-0.25, 2e-5}};
  double expected[2] = {1, -2}, means[2] = {}, squares[2] = {};
  double beta1_power = 1;
  for (int step = 0; step < 2; ++step) {
    const double learning_rate = step == 0 ? 0.1 : 0.05, beta1 = 0.9;
    beta1_power *= beta1;
    for (int i = 0; i < 2; ++i) {
      const double g = gradients[step][i];
      expected[i] *= 1 - learning_rate * 0.1;
      means[i] = beta1 * means[i] + (1 - beta1) * g;
      squares[i] = 0.99 * squares[i] + 0.01 * g * g;
      const double root = std::sqrt(squares[i] / (1 - std::pow(0.99, step + 1)));
      expected[i] -= learning_rate * means[i] / (1 - beta1_power) / (root + 1e-5);
    }
    parameter.mutable_grad() =
        torch::tensor({gradients[step][0], gradients[step][1]}).to(at::kFloat);
    optimizer.step(learning_rate, beta1);
  }
  EXPECT_NEAR(parameter[0].item<double>(), expected[0], 1e-6);
  EXPECT_NEAR(parameter[1].item<double>(), expected[1], 1e-6);
  optimizer.zero_grad();
  EXPECT_FALSE(parameter.grad().defined());
}

TEST(FastaiInitTest, IsNormalAndWrappedBeyondTwoDeviations) {
  torch::manual_seed(0);
  const at::Tensor table = fastai_table(10'000, 10);
  EXPECT_LT(table.abs().max().item<double>(), 0.02);
  EXPECT_GT(table.abs().max().item<double>(), 0.0199);
  // The deviation of fmod(z, 2), by its integral: 0.86589.
  EXPECT_NEAR(table.std().item<double>(), 0.0086589, 0.00005);
  EXPECT_NEAR(table.mean().item<double>(), 0, 0.0001);
}

TEST(CausalBlockTest, SeesItselfAndWhatIsBefore) {
  torch::manual_seed(0);
  CausalBlock block(8, 2);
  const at::Tensor x = torch::randn({3, 6, 8});
  at::Tensor changed = x.clone();
  changed.select(1, 3).normal_();
  const torch::NoGradGuard no_grad;
  const at::Tensor differs = block(x).ne(block(changed)).any(2);  // [3, 6]
  EXPECT_TRUE(differs.narrow(1, 0, 3).logical_not().all().item<bool>());
  EXPECT_TRUE(differs.narrow(1, 3, 3).all().item<bool>());
}

TEST(TopicTextsTest, HalfOfTheWordsTellTheTopic) {
  torch::manual_seed(0);
  const auto batches = draw_texts({.vocabulary = 1000, .num_texts = 500, .num_words = 40}, 2);
  ASSERT_EQ(batches.size(), 2U);
  for (const TextBatch& batch : batches) {
    EXPECT_LT(batch.words.max().item<std::int64_t>(), 1000);
    const at::Tensor is_right = batch.words.remainder(kNumTopics).eq(batch.topics.unsqueeze(1));
    // The other half does by chance. Five deviations of 20,000 draws.
    EXPECT_NEAR(is_right.to(at::kDouble).mean().item<double>(), 0.55, 0.018);
  }
  EXPECT_FALSE(at::equal(batches[0].words, batches[1].words));
}

}  // namespace
}  // namespace rowlane::examples
