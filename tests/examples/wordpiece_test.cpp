// Sentences are cut as BERT cuts them; the example minilm_input compares ten thousand with Python.
#include "examples/support/wordpiece.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::split_words;
using examples::WordPiece;

using Words = std::vector<std::string>;

TEST(SplitWords, CutsAtWhiteSpaceAndPunctuation) {
  EXPECT_EQ(
      split_words(" It's\t$9.50,\n(isn't it?)"),
      Words({"it", "'", "s", "$", "9", ".", "50", ",", "(", "isn", "'", "t", "it", "?", ")"}));
  EXPECT_EQ(split_words("a_b^c\u00a0d\u2014e\u3000f"),
            Words({"a", "_", "b", "^", "c", "d", "\u2014", "e", "f"}));
  // The first and the last of Unicode's kinds of punctuation, and a symbol.
  EXPECT_EQ(split_words("a\u203fb\u00a1c\u00b1d"),
            Words({"a", "\u203f", "b", "\u00a1", "c\u00b1d"}));
  EXPECT_EQ(split_words(""), Words());
}

TEST(SplitWords, IgnoresCaseAndAccents) {
  EXPECT_EQ(split_words("ÉCLAIR e\u0301clair Ångström ΌΔΟΣ Ёж Łódź"),
            Words({"eclair", "eclair", "angstrom", "οδοσ", "еж", "łodz"}));
}

TEST(SplitWords, MakesEachIdeographAWord) {
  EXPECT_EQ(split_words("ab東京cd"), Words({"ab", "東", "京", "cd"}));
}

TEST(SplitWords, LeavesOutControlsAndWhatIsNoText) {
  EXPECT_EQ(split_words(std::string("a\0b\x7f"
                                    "c\u200bd\ufffd"
                                    "e",
                                    13)),
            Words({"abcde"}));
  EXPECT_EQ(split_words("a\u0378b"), Words({"ab"}));  // not assigned
  EXPECT_EQ(split_words("a\xff"
                        "b\xe6\x9d"),
            Words({"ab"}));
}

class WordPieceTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  // Rows 0 to 9.
  WordPiece pieces_{directory_.write(
      "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\nunaff\n東\n##é\r\n")};
};

TEST_F(WordPieceTest, TakesTheLongestPieceFirst) {
  EXPECT_EQ(pieces_.rows("unaffable"), std::vector<std::int64_t>({7, 6}));
  EXPECT_EQ(pieces_.rows("UN unable 東"), std::vector<std::int64_t>({4, 4, 6, 8}));
}

TEST_F(WordPieceTest, GivesOneUnknownForAWordThatCannotBeCut) {
  EXPECT_EQ(pieces_.rows("unaffx un"), std::vector<std::int64_t>({1, 4}));
  EXPECT_EQ(pieces_.rows("affable"), std::vector<std::int64_t>({1}));
}

TEST_F(WordPieceTest, GivesUpAtAHundredAndOneCharacters) {
  // Of two bytes each.
  const WordPiece pieces(directory_.write("zhe.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nж\n##ж\n"));
  std::string word;
  for (int i = 0; i < 100; ++i) {
    word += "ж";
  }
  EXPECT_EQ(pieces.rows(word).size(), 100);
  EXPECT_EQ(pieces.rows(word + "ж"), std::vector<std::int64_t>({1}));
}

TEST_F(WordPieceTest, FramesAndPadsSentences) {
  const Words texts = {"unaffable", "", "un"};
  EXPECT_TRUE(pieces_.encode(texts).equal(
      torch::tensor({{2, 7, 6, 3}, {2, 3, 0, 0}, {2, 4, 3, 0}}, at::kLong)));
}

TEST_F(WordPieceTest, KnowsItsPieces) {
  EXPECT_EQ(pieces_.size(), 10);
  EXPECT_EQ(pieces_.padding_row(), 0);
  EXPECT_EQ(pieces_.unknown_row(), 1);
  EXPECT_EQ(pieces_.piece(9), "##é");
}

TEST_F(WordPieceTest, WantsTheSpecialPieces) {
  const auto path = directory_.write("bad.txt", "[PAD]\n[UNK]\n[CLS]\n");
  EXPECT_EQ(message_of([&] { const WordPiece bad(path); }),
            path.string() + " is no vocabulary of BERT: it has no [SEP]");
  EXPECT_EQ(message_of([&] { const WordPiece bad(directory_.file("none")); }),
            "cannot read " + directory_.file("none").string());
}

}  // namespace
}  // namespace rowlane::testing
