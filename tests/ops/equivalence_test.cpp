// The same numbers as torch::nn::Embedding, parameter indexing and the one-hot matrix product.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/index_sets.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

constexpr std::int64_t kNumRows = 100;
constexpr std::int64_t kDim = 24;

struct Result {
  torch::Tensor rows;
  torch::Tensor grad;
};

template <typename LookUp>
Result run(LookUp&& look_up, const torch::Tensor& table, const torch::Tensor& grad_output) {
  const auto weight = table.detach().clone().requires_grad_();
  const auto rows = look_up(weight);
  return {rows.detach(), torch::autograd::grad({rows}, {weight}, {grad_output})[0]};
}

class Equivalence : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    indices = make_indices(IndexSet::kZipf, kNumRows, 1000).view({10, 100}).to(GetParam());
    table = integers({kNumRows, kDim}, torch::kFloat).to(GetParam());
    grad_output = integers({10, 100, kDim}, torch::kFloat).to(GetParam());
  }

  Result ours() {
    return run([&](const auto& weight) { return rowlane::embedding(weight, indices); }, table,
               grad_output);
  }

  torch::Tensor indices;
  torch::Tensor table;
  torch::Tensor grad_output;
};

TEST_P(Equivalence, TorchEmbeddingGivesTheSameBits) {
  const auto theirs = run(
      [&](const auto& weight) {
        torch::nn::Embedding module(
            torch::nn::EmbeddingOptions(kNumRows, kDim)._weight(torch::Tensor()));
        module->weight = weight;
        return module(indices);
      },
      table, grad_output);
  EXPECT_TRUE(bit_equal(ours().rows, theirs.rows));
  EXPECT_TRUE(bit_equal(ours().grad, theirs.grad));
}

TEST_P(Equivalence, ParameterIndexingGivesTheSameBits) {
  const auto theirs =
      run([&](const auto& weight) { return weight.index({indices}); }, table, grad_output);
  EXPECT_TRUE(bit_equal(ours().rows, theirs.rows));
  EXPECT_TRUE(bit_equal(ours().grad, theirs.grad));
}

TEST_P(Equivalence, OneHotProductGivesTheSameBits) {
  const auto theirs = run(
      [&](const auto& weight) {
        return torch::one_hot(indices, kNumRows).to(torch::kFloat).matmul(weight);
      },
      table, grad_output);
  EXPECT_TRUE(bit_equal(ours().rows, theirs.rows));
  EXPECT_TRUE(bit_equal(ours().grad, theirs.grad));
}

TEST_P(Equivalence, RandomDataAgreesWithTorchWithinRounding) {
  table = torch::randn_like(table);
  grad_output = torch::randn_like(grad_output);
  const auto theirs = run([&](const auto& weight) { return torch::embedding(weight, indices); },
                          table, grad_output);
  EXPECT_TRUE(bit_equal(ours().rows, theirs.rows));
  EXPECT_TRUE(within_rounding(ours().grad, grad_output, indices));
  EXPECT_TRUE(within_rounding(theirs.grad, grad_output, indices));
}

TEST_P(Equivalence, PaddingRowIsReadButGetsNoGradient) {
  const auto theirs = run(
      [&](const auto& weight) {
        return torch::nn::functional::embedding(
            indices, weight, torch::nn::functional::EmbeddingFuncOptions().padding_idx(-3));
      },
      table, grad_output);
  const auto mine = run(
      [&](const auto& weight) {
        return rowlane::embedding(weight, indices, EmbeddingFuncOptions().padding_idx(-3));
      },
      table, grad_output);
  EXPECT_TRUE(bit_equal(mine.rows, theirs.rows));
  EXPECT_TRUE(bit_equal(mine.grad, theirs.grad));
  EXPECT_EQ(mine.grad[kNumRows - 3].abs().max().item<float>(), 0);
}

TEST_P(Equivalence, BackwardTouchesOnlyTheRowsThatWereLookedUp) {
  indices = torch::tensor({5, 17, 5, 99}, torch::kLong).to(GetParam());
  const auto grad = run([&](const auto& weight) { return rowlane::embedding(weight, indices); },
                        table, torch::ones({4, kDim}, GetParam()))
                        .grad.cpu();
  for (std::int64_t row = 0; row < kNumRows; ++row) {
    const float expected = row == 5 ? 2 : row == 17 || row == 99 ? 1 : 0;
    EXPECT_TRUE(bit_equal(grad[row], torch::full({kDim}, expected))) << "row " << row;
  }
}

TEST_P(Equivalence, SixteenBitSumsDoNotLoseRepeats) {
  // In bfloat16, 256 + 1 is 256: adding ones one by one in the table's own type stops there.
  const std::int64_t repeats = 4096;
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    const auto weight =
        torch::zeros({3, 5}, torch::dtype(dtype).device(GetParam())).requires_grad_();
    rowlane::embedding(weight,
                       torch::ones({repeats}, torch::dtype(torch::kLong).device(GetParam())))
        .sum()
        .backward();
    EXPECT_EQ(weight.grad()[1].min().item<float>(), static_cast<float>(repeats));
  }
}

TEST_P(Equivalence, GradientAccumulatesOverTwoBackwards) {
  const auto weight = table.clone().requires_grad_();
  rowlane::embedding(weight, indices).backward(grad_output);
  rowlane::embedding(weight, indices).backward(grad_output);
  EXPECT_TRUE(bit_equal(weight.grad(), 2 * ours().grad));
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Equivalence, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
