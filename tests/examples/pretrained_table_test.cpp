// Words find their rows in a pretrained table, and those without one the row for the unknown.
#include "examples/support/pretrained_table.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "examples/support/film_reviews.h"
#include "examples/support/padding.h"
#include "examples/support/safetensors.h"
#include "rowlane/nn/embedding.h"
#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::add_special_rows;
using examples::PretrainedTable;
using nn::EmbeddingFromPretrainedOptions;
using Rows = std::vector<std::int64_t>;

PretrainedTable three_words() {
  return add_special_rows(
      {{"good", "bad", "good"}, torch::tensor({{1.F, 2.F}, {3.F, 4.F}, {8.F, 9.F}})});
}

TEST(PretrainedTable, PutsPaddingAndUnknownInFront) {
  const PretrainedTable pretrained = three_words();
  EXPECT_TRUE(pretrained.table.equal(
      torch::tensor({{0.F, 0.F}, {4.F, 5.F}, {1.F, 2.F}, {3.F, 4.F}, {8.F, 9.F}})));
  EXPECT_EQ(pretrained.words, std::vector<std::string>({"<pad>", "<unk>", "good", "bad", "good"}));
  EXPECT_EQ(pretrained.padding_row, 0);
  EXPECT_EQ(pretrained.unknown_row, 1);
}

TEST(PretrainedTable, FindsTheFirstOfEqualWordsAndTheUnknownRow) {
  EXPECT_EQ(three_words().rows_of("Good, bad <pad>"), Rows({2, 1, 3, 1, 1, 1}));
  EXPECT_EQ(three_words().rows_of(""), Rows());
}

TEST(PretrainedTable, FrozenGetsNoGradientAndFineTunedSparesPadding) {
  const PretrainedTable pretrained = three_words();
  const auto make = [&](bool freeze) {
    return nn::Embedding::from_pretrained(
        pretrained.table.clone(),
        EmbeddingFromPretrainedOptions().freeze(freeze).padding_idx(pretrained.padding_row));
  };
  const at::Tensor rows =
      examples::pad_rows(std::vector<Rows>{{3, 1, 3}, {2}}, pretrained.padding_row);
  EXPECT_FALSE(make(true)(rows).requires_grad());
  nn::Embedding fine_tuned = make(false);
  fine_tuned(rows).sum().backward();
  EXPECT_TRUE(
      fine_tuned->weight.grad().select(1, 0).equal(torch::tensor({0.F, 1.F, 1.F, 2.F, 0.F})));
}

TEST(PadRows, FillsUpToTheLongest) {
  EXPECT_TRUE(examples::pad_rows(std::vector<Rows>{{1, 2, 3}, {}, {4}}, 9)
                  .equal(torch::tensor({{1, 2, 3}, {9, 9, 9}, {4, 9, 9}}, at::kLong)));
  EXPECT_EQ(examples::pad_rows(std::vector<Rows>{}, 9).sizes(), torch::IntArrayRef({0, 0}));
}

TEST(MinilmTable, IsCutIntoPiecesAndHasZerosForPadding) {
  const TemporaryDirectory directory;
  directory.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\n##s\n");
  examples::write_safetensors(
      directory.file("model.safetensors"),
      {{"embeddings.word_embeddings.weight", torch::arange(1, 13).reshape({6, 2}).to(at::kFloat)}});
  const PretrainedTable pretrained = examples::read_minilm_table(directory.path());
  EXPECT_EQ(pretrained.rows_of("Goods x"), Rows({4, 5, 1}));
  EXPECT_EQ(pretrained.words[5], "##s");
  EXPECT_EQ(pretrained.padding_row, 0);
  EXPECT_EQ(pretrained.unknown_row, 1);
  EXPECT_TRUE(pretrained.table.select(1, 0).equal(torch::tensor({0.F, 3.F, 5.F, 7.F, 9.F, 11.F})));
}

TEST(MinilmTable, HasARowForEveryPiece) {
  const TemporaryDirectory directory;
  directory.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
  examples::write_safetensors(directory.file("model.safetensors"),
                              {{"embeddings.word_embeddings.weight", torch::ones({5, 2})}});
  EXPECT_EQ(message_of([&] { examples::read_minilm_table(directory.path()); }),
            directory.path().string() + ": the table has 5 rows, the vocabulary 4");
}

TEST(MinilmTable, TellsHowToGetIt) {
  const TemporaryDirectory directory;
  EXPECT_EQ(message_of([&] { examples::read_minilm_table(directory.path()); }),
            "no MiniLM in " + directory.path().string() +
                " (vocab.txt is missing): get them with 'make data'");
}

TEST(FilmReviews, AreRowsAndVerdictsWithoutTheUndecided) {
  const TemporaryDirectory directory;
  directory.write("snippets.csv", "rating,text\n2.5,\"good, good\"\n0.0,bad\n-0.1,bad\n");
  const examples::FilmReviews reviews =
      examples::read_film_reviews(directory.path(), three_words());
  EXPECT_TRUE(reviews.rows.equal(torch::tensor({{2, 1, 2}, {3, 0, 0}}, at::kLong)));
  EXPECT_TRUE(reviews.verdicts.equal(torch::tensor({1.F, 0.F})));
  const examples::FilmReviews swapped = reviews.select(torch::tensor({1, 0}, at::kLong));
  EXPECT_TRUE(swapped.rows.equal(reviews.rows.flip(0)));
  EXPECT_TRUE(swapped.verdicts.equal(reviews.verdicts.flip(0)));
  EXPECT_TRUE(swapped.narrow(1, 1).rows.equal(reviews.rows.narrow(0, 0, 1)));
  EXPECT_TRUE(swapped.narrow(1, 1).verdicts.equal(reviews.verdicts.narrow(0, 0, 1)));
}

}  // namespace
}  // namespace rowlane::testing
