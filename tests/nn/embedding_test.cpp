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

TEST(EmbeddingModule, PrintsWhatTorchPrints) {
  const auto like_torchs = [](const torch::nn::EmbeddingOptions& theirs,
                              const EmbeddingOptions& mine) {
    std::string text = printed(torch::nn::Embedding(theirs));
    text.replace(0, std::string("torch").size(), "rowlane");
    EXPECT_EQ(printed(Embedding(mine)), text);
  };
  like_torchs(torch::nn::EmbeddingOptions(10, 2).padding_idx(3).max_norm(2).norm_type(2.5),
              EmbeddingOptions(10, 2).padding_idx(3).max_norm(2).norm_type(2.5));
  like_torchs(torch::nn::EmbeddingOptions(4, 2).scale_grad_by_freq(true).padding_idx(-1),
              EmbeddingOptions(4, 2).scale_grad_by_freq(true).padding_idx(-1));
  like_torchs(torch::nn::EmbeddingOptions(4, 2).max_norm(0.5).sparse(true),
              EmbeddingOptions(4, 2).max_norm(0.5).sparse(true));
  EXPECT_EQ(printed(Embedding(EmbeddingOptions(4, 2).row_gradient(true))),
            "rowlane::nn::Embedding(num_embeddings=4, embedding_dim=2, row_gradient=true)");
}

// Both modules with the same table; true options are set on both.
struct Pair {
  Embedding mine;
  torch::nn::Embedding theirs;
};

Pair make_pair(bool scale, bool is_sparse, std::optional<double> max_norm) {
  torch::manual_seed(4);
  Pair pair{Embedding(EmbeddingOptions(9, 4)
                          .padding_idx(-2)
                          .max_norm(max_norm)
                          .norm_type(3)
                          .scale_grad_by_freq(scale)
                          .sparse(is_sparse)),
            torch::nn::Embedding(torch::nn::EmbeddingOptions(9, 4)
                                     .padding_idx(-2)
                                     .max_norm(max_norm)
                                     .norm_type(3)
                                     .scale_grad_by_freq(scale)
                                     .sparse(is_sparse))};
  const torch::NoGradGuard no_grad;
  pair.theirs->weight.copy_(pair.mine->weight);
  return pair;
}

TEST(EmbeddingModule, TrainsLikeTorchsWithEveryOption) {
  const auto indices = torch::tensor({{1, 7, 1}, {0, 8, 1}}, torch::kLong);
  for (const bool scale : {false, true}) {
    for (const bool is_sparse : {false, true}) {
      for (const std::optional<double>& max_norm :
           {std::optional<double>(), std::optional<double>(0.7)}) {
        if (scale && is_sparse) {
          continue;  // refused by both
        }
        SCOPED_TRACE(::testing::Message() << scale << is_sparse << max_norm.value_or(-1));
        auto [mine, theirs] = make_pair(scale, is_sparse, max_norm);
        torch::optim::SGD my_optimizer(mine->parameters(), /*lr=*/0.1);
        torch::optim::SGD their_optimizer(theirs->parameters(), /*lr=*/0.1);
        for (int step = 0; step < 3; ++step) {
          my_optimizer.zero_grad();
          their_optimizer.zero_grad();
          mine(indices).pow(2).sum().backward();
          theirs(indices).pow(2).sum().backward();
          my_optimizer.step();
          their_optimizer.step();
        }
        EXPECT_TRUE(mine->weight.allclose(theirs->weight, 1e-5, 1e-6));
      }
    }
  }
}

TEST(EmbeddingModule, RowGradientReachesTheParameter) {
  Embedding module(EmbeddingOptions(9, 4).padding_idx(0).row_gradient(true));
  module(torch::tensor({8, 0, 3, 3}, torch::kLong)).sum().backward();
  const auto grad = module->weight.grad();
  EXPECT_TRUE(grad.is_coalesced());
  EXPECT_TRUE(bit_equal(grad.indices(), torch::tensor({{3, 8}}, torch::kLong)));
}

TEST(EmbeddingModule, IsMadeOnTheDeviceAndOfTheDtypeThatAreAskedFor) {
  const Embedding doubles(EmbeddingOptions(5, 3).dtype(torch::kDouble).padding_idx(1));
  EXPECT_EQ(doubles->weight.scalar_type(), torch::kDouble);
  EXPECT_EQ(doubles->weight[1].abs().sum().item<double>(), 0);
  // A table that no host could stage.
  const Embedding large(EmbeddingOptions(std::int64_t{1} << 40, 1024)
                            .device(torch::kMeta)
                            .dtype(torch::kBFloat16)
                            .padding_idx(0));
  EXPECT_TRUE(large->weight.is_meta());
  EXPECT_TRUE(large->weight.requires_grad());
  EXPECT_EQ(large->weight.scalar_type(), torch::kBFloat16);
  const auto default_dtype = torch::get_default_dtype();
  torch::set_default_dtype(torch::scalarTypeToTypeMeta(torch::kDouble));
  EXPECT_EQ(Embedding(2, 2)->weight.scalar_type(), torch::kDouble);
  torch::set_default_dtype(default_dtype);
}

TEST(EmbeddingModule, FromPretrainedTakesEveryOption) {
  const auto table = torch::full({4, 3}, 2.F);
  Embedding module = Embedding::from_pretrained(table, EmbeddingFromPretrainedOptions()
                                                           .freeze(false)
                                                           .padding_idx(-1)
                                                           .max_norm(1)
                                                           .norm_type(1)
                                                           .scale_grad_by_freq(true)
                                                           .row_gradient(true));
  EXPECT_EQ(printed(module),
            "rowlane::nn::Embedding(num_embeddings=4, embedding_dim=3, padding_idx=3, max_norm=1, "
            "norm_type=1, scale_grad_by_freq=true, row_gradient=true)");
  module(torch::tensor({1, 1, 3}, torch::kLong)).sum().backward();
  EXPECT_NEAR(table[1].sum().item<float>(), 1, 1e-6) << "the given table is scaled";
  EXPECT_EQ(table[0].sum().item<float>(), 6);
  EXPECT_TRUE(bit_equal(module->weight.grad().to_dense()[1], torch::ones({3})));
  EXPECT_EQ(printed(Embedding::from_pretrained(
                table,
                EmbeddingFromPretrainedOptions().sparse(true).algorithm(BackwardAlgorithm::kAuto))),
            "rowlane::nn::Embedding(num_embeddings=4, embedding_dim=3, sparse=true)");
}

TEST(EmbeddingModule, FromPretrainedTakesEveryDtypeWhenFrozen) {
  for (const auto dtype : {torch::kByte, torch::kInt, torch::kLong, torch::kBool, torch::kHalf,
                           torch::kDouble, torch::kComplexFloat}) {
    const auto table = torch::ones({3, 2}, dtype);
    Embedding module = Embedding::from_pretrained(table);
    EXPECT_TRUE(bit_equal(module(torch::tensor({2}, torch::kLong)), torch::ones({1, 2}, dtype)));
  }
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
