// The module: what torch users expect of it.
#include "rowlane/nn/embedding.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <sstream>

#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using nn::Embedding;
using nn::EmbeddingFromPretrainedOptions;
using nn::EmbeddingOptions;

template <typename ModuleT>
std::string printed(const ModuleT& module) {
  std::ostringstream text;
  text << module;
  return text.str();
}

TEST(EmbeddingModule, DrawsTheSameTableAsTorch) {
  torch::manual_seed(1);
  const Embedding mine(EmbeddingOptions(10, 3).padding_idx(4));
  torch::manual_seed(1);
  const torch::nn::Embedding theirs(torch::nn::EmbeddingOptions(10, 3).padding_idx(4));
  EXPECT_TRUE(bit_equal(mine->weight, theirs->weight));
  EXPECT_EQ(mine->weight[4].abs().sum().item<float>(), 0);
}

TEST(EmbeddingModule, TakesTwoSizesLikeTorch) {
  Embedding module(10, 3);
  EXPECT_EQ(module->weight.sizes(), torch::IntArrayRef({10, 3}));
  EXPECT_TRUE(module->weight.requires_grad());
  EXPECT_EQ(module->parameters().size(), 1);
  EXPECT_EQ(module(torch::zeros({2, 4}, torch::kLong)).sizes(), torch::IntArrayRef({2, 4, 3}));
}

TEST(EmbeddingModule, NegativePaddingCountsFromTheEnd) {
  Embedding module(EmbeddingOptions(10, 3).padding_idx(-1));
  EXPECT_EQ(module->options.padding_idx(), 9);
  module(torch::tensor({9, 8}, torch::kLong)).sum().backward();
  EXPECT_EQ(module->weight.grad()[9].abs().sum().item<float>(), 0);
  EXPECT_EQ(module->weight.grad()[8].sum().item<float>(), 3);
}

TEST(EmbeddingModule, PaddingOutOfRangeIsRefused) {
  EXPECT_THROW(Embedding(EmbeddingOptions(10, 3).padding_idx(10)), c10::ValueError);
  EXPECT_THROW(Embedding(EmbeddingOptions(10, 3).padding_idx(-11)), c10::ValueError);
  EXPECT_THROW(Embedding(EmbeddingOptions(-1, 3)), c10::ValueError);
}

TEST(EmbeddingModule, ResetParametersDrawsAgainAndZeroesPadding) {
  Embedding module(EmbeddingOptions(10, 3).padding_idx(0));
  const auto before = module->weight.detach().clone();
  module->reset_parameters();
  EXPECT_FALSE(module->weight.equal(before));
  EXPECT_EQ(module->weight[0].abs().sum().item<float>(), 0);
}

TEST(EmbeddingModule, PrintsItsOptionsLikeTorch) {
  EXPECT_EQ(printed(Embedding(10, 3)),
            "rowlane::nn::Embedding(num_embeddings=10, embedding_dim=3)");
  EXPECT_EQ(printed(Embedding(
                EmbeddingOptions(10, 3).padding_idx(1).algorithm(BackwardAlgorithm::kSorted))),
            "rowlane::nn::Embedding(num_embeddings=10, embedding_dim=3, padding_idx=1, "
            "algorithm=sorted)");
}

TEST(EmbeddingModule, FromPretrainedSharesTheTableAndFreezes) {
  const auto table = torch::randn({4, 3});
  Embedding frozen = Embedding::from_pretrained(table);
  EXPECT_FALSE(frozen->weight.requires_grad());
  EXPECT_EQ(frozen->weight.data_ptr(), table.data_ptr());
  Embedding trainable = Embedding::from_pretrained(
      table, EmbeddingFromPretrainedOptions().freeze(false).padding_idx(-2));
  EXPECT_TRUE(trainable->weight.requires_grad());
  EXPECT_EQ(trainable->options.padding_idx(), 2);
  EXPECT_TRUE(bit_equal(trainable->weight, table)) << "the padding row is not zeroed";
  EXPECT_THROW(Embedding::from_pretrained(torch::randn({4})), c10::Error);
}

TEST(EmbeddingModule, GivenWeightMustFitTheSizes) {
  EXPECT_THROW(Embedding(EmbeddingOptions(4, 3)._weight(torch::randn({3, 4}))), c10::Error);
}

TEST(EmbeddingModule, CloneIsIndependent) {
  for (const auto& options :
       {EmbeddingOptions(4, 3), EmbeddingOptions(4, 3)._weight(torch::randn({4, 3}))}) {
    const Embedding original(options);
    const auto before = original->weight.detach().clone();
    const auto copy = std::dynamic_pointer_cast<nn::EmbeddingImpl>(original->clone());
    ASSERT_TRUE(copy);
    EXPECT_TRUE(bit_equal(copy->weight, before));
    const torch::NoGradGuard no_grad;
    copy->weight.fill_(1);
    EXPECT_TRUE(bit_equal(original->weight, before));
  }
}

TEST(EmbeddingModule, StateGoesToAndFromTorchsModule) {
  Embedding mine(6, 2);
  torch::nn::Embedding theirs(6, 2);
  std::stringstream stream;
  torch::save(mine, stream);
  torch::load(theirs, stream);
  EXPECT_TRUE(bit_equal(theirs->weight, mine->weight));

  theirs->reset_parameters();
  std::stringstream back;
  torch::save(theirs, back);
  torch::load(mine, back);
  EXPECT_TRUE(bit_equal(mine->weight, theirs->weight));
}

TEST(EmbeddingModule, MovesToAnotherDtype) {
  Embedding module(6, 2);
  module->to(torch::kBFloat16);
  const auto rows = module(torch::tensor({1, 1}, torch::kInt));
  EXPECT_EQ(rows.scalar_type(), torch::kBFloat16);
  rows.sum().backward();
  EXPECT_EQ(module->weight.grad()[1][0].item<float>(), 2);
}

TEST(EmbeddingModule, TrainsInSequentialWithTorchsOptimizer) {
  torch::manual_seed(0);
  torch::nn::Sequential model(Embedding(20, 8), torch::nn::Linear(8, 1));
  torch::optim::SGD optimizer(model->parameters(), /*lr=*/0.1);
  const auto indices = torch::arange(20, torch::kLong);
  const auto target = torch::randn({20, 1});
  const auto loss_of = [&] { return torch::mse_loss(model->forward(indices), target); };
  const float before = loss_of().item<float>();
  for (int step = 0; step < 200; ++step) {
    optimizer.zero_grad();
    loss_of().backward();
    optimizer.step();
  }
  EXPECT_LT(loss_of().item<float>(), 0.1F * before);
}

}  // namespace
}  // namespace rowlane::testing
