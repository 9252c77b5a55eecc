// Derivatives of every order and mode.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

class Autograd : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override {
    torch::manual_seed(11);
    indices = torch::tensor({{1, 2, 2}, {4, 0, 2}}, torch::kLong).to(GetParam());
    table = torch::randn({5, 3}, torch::dtype(torch::kDouble).device(GetParam()));
  }

  torch::Tensor indices;
  torch::Tensor table;
};

TEST_P(Autograd, FirstDerivativePassesGradcheckInBothModes) {
  EXPECT_TRUE(
      gradcheck([&](const auto& weight) { return rowlane::embedding(weight, indices); }, table));
  // Not linear, so that the incoming gradient depends on the table.
  EXPECT_TRUE(gradcheck(
      [&](const auto& weight) { return rowlane::embedding(weight, indices).pow(3); }, table));
}

TEST_P(Autograd, SecondDerivativePassesGradgradcheck) {
  EXPECT_TRUE(gradgradcheck([&](const auto& weight) { return rowlane::embedding(weight, indices); },
                            table));
  EXPECT_TRUE(gradgradcheck(
      [&](const auto& weight) { return rowlane::embedding(weight, indices).pow(3); }, table));
}

TEST_P(Autograd, SecondDerivativeWithPaddingPassesGradgradcheck) {
  const auto options = EmbeddingFuncOptions().padding_idx(2);
  EXPECT_TRUE(gradgradcheck(
      [&](const auto& weight) { return rowlane::embedding(weight, indices, options); }, table));
}

// torch's own second derivative ignores the scaling.
TEST_P(Autograd, SecondDerivativeScaledByFrequencyPassesGradgradcheck) {
  for (const std::optional<std::int64_t>& padding :
       {std::optional<std::int64_t>(), std::optional<std::int64_t>(2)}) {
    const auto options = EmbeddingFuncOptions().scale_grad_by_freq(true).padding_idx(padding);
    EXPECT_TRUE(gradgradcheck(
        [&](const auto& weight) { return rowlane::embedding(weight, indices, options); }, table));
  }
}

TEST_P(Autograd, ThirdDerivativeOfACubeIsExact) {
  const auto weight = table.clone().requires_grad_();
  auto value = rowlane::embedding(weight, indices).pow(3).sum();
  for (int order = 0; order < 2; ++order) {
    value = torch::autograd::grad({value}, {weight}, {}, true, true)[0].sum();
  }
  const auto third = torch::autograd::grad({value}, {weight})[0];
  const auto counts = torch::tensor({1, 1, 3, 0, 1}, torch::kDouble).unsqueeze(1);
  EXPECT_TRUE(third.cpu().allclose((6 * counts).expand({5, 3})));
}

TEST_P(Autograd, BackwardOpIsDifferentiableByItself) {
  const auto op = c10::Dispatcher::singleton()
                      .findSchemaOrThrow("rowlane::embedding_backward", "")
                      .typed<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt,
                                           std::optional<c10::SymInt>, bool, std::string_view)>();
  const auto grad_output = torch::randn({2, 3, 4}, table.options());
  for (const std::optional<c10::SymInt>& padding :
       {std::optional<c10::SymInt>(), std::optional<c10::SymInt>(2)}) {
    for (const bool scale : {false, true}) {
      const auto function = [&](const auto& grad) {
        return op.call(grad, indices, 5, padding, scale, "auto");
      };
      EXPECT_TRUE(gradcheck(function, grad_output));
      EXPECT_TRUE(gradgradcheck(function, grad_output));
    }
  }
}

TEST_P(Autograd, GraphNamesTheNode) {
  const auto weight = table.clone().requires_grad_();
  EXPECT_EQ(rowlane::embedding(weight, indices).grad_fn()->name(), "RowlaneEmbeddingBackward");
}

TEST_P(Autograd, NoGraphIsBuiltWithoutNeed) {
  EXPECT_FALSE(rowlane::embedding(table, indices).requires_grad());
  const auto weight = table.clone().requires_grad_();
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(rowlane::embedding(weight, indices).requires_grad());
}

TEST_P(Autograd, ChangingTheIndicesBeforeBackwardIsAnError) {
  const auto weight = table.clone().requires_grad_();
  const auto rows = rowlane::embedding(weight, indices);
  indices.add_(1);
  EXPECT_THROW(rows.sum().backward(), c10::Error);
}

TEST_P(Autograd, ASecondBackwardNeedsRetainGraph) {
  const auto weight = table.clone().requires_grad_();
  const auto loss = rowlane::embedding(weight, indices).sum();
  loss.backward();
  EXPECT_THROW(loss.backward(), c10::Error);
}

TEST_P(Autograd, SharedTableSumsTheGradientsOfBothLookUps) {
  const auto weight = table.clone().requires_grad_();
  const auto other = torch::tensor({3, 2}, torch::kLong).to(GetParam());
  (rowlane::embedding(weight, indices).sum() + 2 * rowlane::embedding(weight, other).sum())
      .backward();
  const auto expected = torch::tensor({1, 1, 5, 2, 1}, torch::kDouble).unsqueeze(1).expand({5, 3});
  EXPECT_TRUE(bit_equal(weight.grad(), expected));
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Autograd, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
