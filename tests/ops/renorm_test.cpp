// max_norm: which rows it changes, by how much, and what derivatives see of it.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/torch.h>

#include <limits>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/index_sets.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class MaxNorm : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override { torch::manual_seed(23); }

  [[nodiscard]] torch::Tensor on_device(const torch::Tensor& tensor) const {
    return tensor.to(GetParam());
  }
};

TEST_P(MaxNorm, ScalesEachLookedUpRowOnceAndNoOther) {
  for (const auto dtype : {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16}) {
    for (const std::int64_t dim : {1, 2, 3, 8, 33, 128, 1024}) {
      for (const IndexSet set : kAllIndexSets) {
        SCOPED_TRACE(::testing::Message() << dtype << " dim " << dim << " " << to_string(set));
        const auto indices = make_indices(set, 61, 600);
        const auto table = torch::randn({61, dim}).mul(3).to(dtype);
        const auto weight = on_device(table).clone();
        rowlane::embedding(weight, on_device(indices), EmbeddingFuncOptions().max_norm(1.));
        const auto wide = table.to(torch::kDouble);
        const auto norms = wide.norm(2, {1}, /*keepdim=*/true);
        const auto is_named = torch::bincount(indices, {}, 61).gt(0).unsqueeze(1);
        const auto expected =
            torch::where(is_named.logical_and(norms > 1), wide / (norms + 1e-7), wide);
        const auto after = weight.cpu();
        const double eps = dtype == torch::kDouble     ? 1e-14
                           : dtype == torch::kFloat    ? 1e-6
                           : dtype == torch::kBFloat16 ? 0x1p-8
                                                       : 0x1p-11;
        EXPECT_TRUE(after.to(torch::kDouble).allclose(expected, 2 * eps, 1e-6));
        const auto others = is_named.logical_not().view(-1).nonzero().view(-1);
        EXPECT_TRUE(bit_equal(after.index_select(0, others), table.index_select(0, others)));
      }
    }
  }
}

TEST_P(MaxNorm, KnowsEveryNorm) {
  const auto table = torch::tensor({{3., -4.}, {0., 0.}, {0.25, 0.25}}, torch::kDouble);
  const auto indices = on_device(torch::tensor({0, 1, 2, 0}, torch::kInt));
  const auto norm_after = [&](double norm_type) {
    const auto weight = on_device(table).clone();
    rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(1.).norm_type(norm_type));
    EXPECT_EQ(weight[1].abs().max().item<double>(), 0);
    EXPECT_TRUE(bit_equal(weight[2], table[2]));
    return weight[0].cpu();
  };
  const auto row = table[0];
  EXPECT_TRUE(norm_after(2).allclose(row / 5, 1e-6));
  EXPECT_TRUE(norm_after(1).allclose(row / 7, 1e-6));
  EXPECT_TRUE(norm_after(kInfinity).allclose(row / 4, 1e-6));
  EXPECT_TRUE(norm_after(3).allclose(row / std::cbrt(91.), 1e-6));
  EXPECT_TRUE(norm_after(0.5).allclose(row / std::pow(2 + std::sqrt(3.), 2), 1e-6));
}

TEST_P(MaxNorm, FollowsTheStridesOfTheTable) {
  const auto base = torch::randn({8, 10});
  const auto indices = on_device(torch::tensor({1, 0, 3}, torch::kLong));
  for (const auto& view :
       {base.narrow(1, 2, 5), base.t(), base.slice(0, 0, 8, 2), base.slice(1, 0, 10, 3)}) {
    auto expected = view.clone();
    torch::embedding_renorm_(expected, indices.cpu(), 0.5, 2);
    const auto all = on_device(base).clone();
    const auto weight = all.as_strided(view.sizes(), view.strides(), view.storage_offset());
    const auto outside = all.clone();
    rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(0.5));
    EXPECT_TRUE(weight.cpu().allclose(expected));
    // What the view doesn't show is as it was.
    outside.as_strided(view.sizes(), view.strides(), view.storage_offset()).copy_(weight);
    EXPECT_TRUE(bit_equal(all, outside));
  }
}

TEST_P(MaxNorm, LeavesRowsThatAreNoNumbersAlone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto table = on_device(torch::tensor({{nan, 9.}, {9., 9.}, {9., nan}}, torch::kDouble));
  for (const double norm_type : {1., 2., 2.5, kInfinity}) {
    const auto weight = table.clone();
    rowlane::embedding(weight, on_device(torch::arange(3)),
                       EmbeddingFuncOptions().max_norm(1.).norm_type(norm_type));
    EXPECT_EQ(weight[0][1].item<double>(), 9);
    EXPECT_EQ(weight[2][0].item<double>(), 9);
    EXPECT_LT(weight[1][0].item<double>(), 2);
  }
}

TEST_P(MaxNorm, ReturnsTheScaledRows) {
  const auto weight = on_device(torch::full({4, 3}, 2.)).requires_grad_();
  const auto indices = on_device(torch::tensor({2, 2}, torch::kLong));
  const auto rows =
      rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(3.).norm_type(kInfinity));
  EXPECT_EQ(rows.min().item<float>(), 2);
  const auto scaled =
      rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(1.).norm_type(kInfinity));
  EXPECT_TRUE(bit_equal(scaled[0], weight[2]));
  EXPECT_NEAR(scaled.max().item<float>(), 1, 1e-6);
  EXPECT_TRUE(scaled.requires_grad());
}

// As in torch's test_embedding_max_norm_backward: the look-up is differentiated as if the table had
// been scaled before.
TEST_P(MaxNorm, GradientDoesNotSeeTheScaling) {
  const auto weight = on_device(torch::randn({4, 4}, torch::kDouble)).mul(2).requires_grad_();
  const auto indices = on_device(torch::tensor({0, 1, 2, 2}, torch::kLong));
  rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(1.)).sum().backward();
  const auto counts = torch::tensor({1, 1, 2, 0}, torch::kDouble).unsqueeze(1).expand({4, 4});
  EXPECT_TRUE(bit_equal(weight.grad(), counts));
}

// As in torch's test_embedding_max_norm_fwd_AD: the tangent isn't scaled.
TEST_P(MaxNorm, ForwardModeGathersTheTangentAsItIs) {
  const auto primal = on_device(torch::randn({4, 4}, torch::kDouble)).mul(2);
  const auto tangent = torch::randn_like(primal);
  const auto indices = on_device(torch::tensor({0, 1, 2, 2}, torch::kLong));
  const auto level = torch::autograd::ForwardADLevel::get_next_idx();
  {
    const auto dual = torch::_make_dual(primal, tangent, static_cast<std::int64_t>(level));
    const auto rows = rowlane::embedding(dual, indices, EmbeddingFuncOptions().max_norm(1.));
    EXPECT_TRUE(bit_equal(rows._fw_grad(level), tangent.index_select(0, indices)));
    EXPECT_LE(rows.norm(2, {1}).max().item<double>(), 1);
  }
  torch::autograd::ForwardADLevel::release_idx(level);
}

TEST_P(MaxNorm, AnEarlierUseOfTheTableIsNoticed) {
  const auto weight = on_device(torch::randn({4, 4})).requires_grad_();
  const auto product = weight.mul(weight);
  rowlane::embedding(weight, on_device(torch::arange(4)), EmbeddingFuncOptions().max_norm(0.1));
  EXPECT_THROW(product.sum().backward(), c10::Error);
}

TEST_P(MaxNorm, NothingIsScaledWithoutIndices) {
  const auto weight = on_device(torch::randn({4, 4}).mul(9));
  const auto before = weight.clone();
  rowlane::embedding(weight, on_device(torch::empty({0}, torch::kLong)),
                     EmbeddingFuncOptions().max_norm(0.1));
  rowlane::embedding(on_device(torch::empty({4, 0})), on_device(torch::zeros({2}, torch::kLong)),
                     EmbeddingFuncOptions().max_norm(0.1));
  EXPECT_TRUE(bit_equal(weight, before));
}

TEST_P(MaxNorm, WorksInInferenceMode) {
  const c10::InferenceMode inference;
  const auto weight = on_device(torch::full({2, 2}, 3.));
  rowlane::embedding(weight, on_device(torch::zeros({1}, torch::kLong)),
                     EmbeddingFuncOptions().max_norm(1.).norm_type(1.));
  EXPECT_TRUE(weight.cpu().allclose(torch::tensor({{.5, .5}, {3., 3.}}, torch::kFloat)));
}

INSTANTIATE_TEST_SUITE_P(AllDevices, MaxNorm, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
