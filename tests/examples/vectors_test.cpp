// Word vectors survive being written and read, and what is wrong in a file is told with its place.
#include "examples/support/vectors.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::read_vectors;
using examples::VectorFormat;
using examples::WordVectors;
using examples::write_vectors;

constexpr VectorFormat kFormats[] = {VectorFormat::kWord2vecText, VectorFormat::kWord2vecBinary,
                                     VectorFormat::kGloveText};

std::string reading_error(const std::filesystem::path& path, VectorFormat format) {
  return message_of([&] { read_vectors(path, format); });
}

// The vectors [1, -2] of "the" and [0.5, 3] of "café", as the original program writes them.
std::string binary_file(const std::string& between) {
  const float numbers[] = {1, -2, 0.5, 3};
  const auto* bytes = reinterpret_cast<const char*>(numbers);
  return "2 2\nthe " + std::string(bytes, 8) + between + "café " + std::string(bytes + 8, 8) +
         between;
}

void expect_the_cafe(const WordVectors& vectors) {
  EXPECT_EQ(vectors.words, std::vector<std::string>({"the", "café"}));
  EXPECT_TRUE(vectors.table.equal(torch::tensor({{1.F, -2.F}, {0.5F, 3.F}})));
}

TEST(Vectors, EveryFormatKeepsEveryBit) {
  const TemporaryDirectory directory;
  torch::manual_seed(1);
  at::Tensor table = torch::randn({50, 7}) * torch::exp(10 * torch::randn({50, 1}));
  table[0][0] = std::numeric_limits<float>::denorm_min();
  table[1][1] = std::numeric_limits<float>::max();
  table[2][2] = -0.F;
  std::vector<std::string> words;
  for (int i = 0; i < 50; ++i) {
    words.push_back("word" + std::to_string(i));
  }
  for (const VectorFormat format : kFormats) {
    write_vectors(directory.file("v"), {words, table}, format);
    const WordVectors read = read_vectors(directory.file("v"), format);
    EXPECT_EQ(read.words, words);
    EXPECT_TRUE(read.table.view(at::kInt).equal(table.view(at::kInt)));
  }
}

TEST(Vectors, WritesTheTextThatOthersRead) {
  const TemporaryDirectory directory;
  const WordVectors vectors{{"the", "café"}, torch::tensor({{1.F, -2.F}, {0.5F, 3.F}})};
  write_vectors(directory.file("w"), vectors, VectorFormat::kWord2vecText);
  EXPECT_EQ(content_of(directory.file("w")), "2 2\nthe 1 -2\ncafé 0.5 3\n");
  write_vectors(directory.file("g"), vectors, VectorFormat::kGloveText);
  EXPECT_EQ(content_of(directory.file("g")), "the 1 -2\ncafé 0.5 3\n");
  write_vectors(directory.file("b"), vectors, VectorFormat::kWord2vecBinary);
  EXPECT_EQ(content_of(directory.file("b")), binary_file("\n"));
}

TEST(Vectors, WritesATableThatIsNoContiguousFloat) {
  const TemporaryDirectory directory;
  const at::Tensor table = torch::tensor({{1., 0.5}, {-2., 3.}}, at::kDouble).t();
  write_vectors(directory.file("w"), {{"the", "café"}, table}, VectorFormat::kWord2vecText);
  expect_the_cafe(read_vectors(directory.file("w"), VectorFormat::kWord2vecText));
}

TEST(Vectors, ReadsBinaryWithAndWithoutLineFeeds) {
  const TemporaryDirectory directory;
  for (const char* between : {"\n", ""}) {
    expect_the_cafe(
        read_vectors(directory.write("b", binary_file(between)), VectorFormat::kWord2vecBinary));
  }
}

TEST(Vectors, ReadsTextWithSpacesAndReturnsAtTheEndsOfLines) {
  const TemporaryDirectory directory;
  expect_the_cafe(read_vectors(directory.write("w", "2 2\nthe 1 -2 \ncafé 0.5 3 \n\n"),
                               VectorFormat::kWord2vecText));
  expect_the_cafe(
      read_vectors(directory.write("g", "the 1 -2\r\ncafé 5e-1 3"), VectorFormat::kGloveText));
}

TEST(Vectors, ReadsWordsWithSpacesInGlove) {
  const TemporaryDirectory directory;
  const WordVectors vectors =
      read_vectors(directory.write("g", "the 1 2\n. . . 3 4\n"), VectorFormat::kGloveText);
  EXPECT_EQ(vectors.words, std::vector<std::string>({"the", ". . ."}));
  EXPECT_EQ(vectors.table[1][0].item<float>(), 3);
}

TEST(Vectors, TellsWhereATextIsWrong) {
  const TemporaryDirectory directory;
  const std::string file = directory.file("v").string();
  struct Case {
    VectorFormat format;
    const char* content;
    const char* error;
  };
  const Case cases[] = {
      {VectorFormat::kWord2vecText, "the 1 2\n",
       "offset 0 (line 1): the first line must be the number of words and dim, got \"the 1 2\""},
      {VectorFormat::kWord2vecText, "2 0\n",
       "offset 0 (line 1): the first line must be the number of words and dim, got \"2 0\""},
      {VectorFormat::kWord2vecText, "1000000000000 3\nthe 1 2 3\n",
       "offset 0 (line 1): the file announces 1000000000000 words of dim 3 and has only 26 bytes"},
      {VectorFormat::kWord2vecText, "8 1\nthe 1 x\n",
       "offset 0 (line 1): the file announces 8 words of dim 1 and has only 12 bytes"},
      {VectorFormat::kWord2vecText, "0 2\n",
       "offset 0 (line 1): the first line must be the number of words and dim, got \"0 2\""},
      {VectorFormat::kWord2vecText, "2 3\nthe 1 2 3\na 1 2\n",
       "offset 14 (line 3): a line must be a word and 3 numbers, got 2 numbers"},
      {VectorFormat::kWord2vecText, "2 2\nthe 1 2 3\na 1 2\n",
       "offset 4 (line 2): a line must be a word and 2 numbers, got more: \"the 1\""},
      {VectorFormat::kWord2vecText, "2 2\nthe 1 x2\na 1 2\n",
       "offset 4 (line 2): \"x2\" is not a float"},
      {VectorFormat::kWord2vecText, "2 2\nthe 1 2x\na 1 2\n",
       "offset 4 (line 2): \"2x\" is not a float"},
      {VectorFormat::kWord2vecText, "2 2\nthe 1 2\n",
       "offset 4 (line 2): the file ends after 1 of 2 words"},
      {VectorFormat::kWord2vecText, "1 2\nthe 1 2\na 1 2\n",
       "offset 12: the file should end here: all the words that it announces are read"},
      {VectorFormat::kGloveText, "the 1 2\n 1 2\n", "offset 8 (line 2): the word is missing"},
      {VectorFormat::kGloveText, "the 1 2\na 1\n",
       "offset 8 (line 2): a line must be a word and 2 numbers, got 1 numbers"},
      {VectorFormat::kGloveText, "the\n",
       "offset 0 (line 1): a line must be a word and its numbers, got \"the\""},
      {VectorFormat::kGloveText, "2 3\nthe 1 2 3\n",
       "offset 0 (line 1): \"2 3\" begins a file in word2vec's text format"},
      {VectorFormat::kGloveText, "", "offset 0: the file is empty"},
  };
  for (const Case& wrong : cases) {
    directory.write("v", wrong.content);
    EXPECT_EQ(reading_error(file, wrong.format), file + ": " + wrong.error);
  }
}

TEST(Vectors, TellsWhereABinaryFileIsWrong) {
  const TemporaryDirectory directory;
  const std::string whole = binary_file("\n");
  const std::string file = directory.write("v", whole.substr(0, whole.size() - 3)).string();
  EXPECT_EQ(reading_error(file, VectorFormat::kWord2vecBinary),
            file + ": offset 23: the file ends within a vector of 2 floats");
  directory.write("v", "3" + whole.substr(1));
  EXPECT_EQ(reading_error(file, VectorFormat::kWord2vecBinary),
            file + ": offset 32: the file ends where a word was expected");
  directory.write("v", "1" + whole.substr(1));
  EXPECT_EQ(
      reading_error(file, VectorFormat::kWord2vecBinary),
      file + ": offset 17: the file should end here: all the words that it announces are read");
  directory.write("v", "5" + whole.substr(1));
  EXPECT_EQ(
      reading_error(file, VectorFormat::kWord2vecBinary),
      file + ": offset 0 (line 1): the file announces 5 words of dim 2 and has only 32 bytes");
  directory.write("v", "20 2\n" + whole.substr(4));
  EXPECT_EQ(
      reading_error(file, VectorFormat::kWord2vecBinary),
      file + ": offset 0 (line 1): the file announces 20 words of dim 2 and has only 33 bytes");
}

TEST(Vectors, NamesAFileThatIsNotThere) {
  const TemporaryDirectory directory;
  EXPECT_EQ(reading_error(directory.file("none"), VectorFormat::kGloveText),
            "cannot read " + directory.file("none").string());
  EXPECT_EQ(message_of([&] {
              write_vectors(directory.file("no/folder"), {{"a"}, torch::ones({1, 1})},
                            VectorFormat::kGloveText);
            }),
            "cannot write " + directory.file("no/folder").string());
}

TEST(Vectors, RefusesToWriteWhatCouldNotBeRead) {
  const TemporaryDirectory directory;
  const auto error = [&](const WordVectors& vectors) {
    return message_of(
        [&] { write_vectors(directory.file("v"), vectors, VectorFormat::kWord2vecText); });
  };
  EXPECT_EQ(error({{"New York"}, torch::ones({1, 2})}),
            "write_vectors: words must have no white space, got \"New York\"");
  EXPECT_EQ(error({{""}, torch::ones({1, 2})}),
            "write_vectors: words must have no white space, got \"\"");
  EXPECT_EQ(error({{"a"}, torch::ones({2, 2})}),
            "write_vectors: table must be [1, dim] and not empty, got 2 dimensions and 4 elements");
  EXPECT_EQ(error({{"a"}, torch::ones({1, 0})}),
            "write_vectors: table must be [1, dim] and not empty, got 2 dimensions and 0 elements");
  EXPECT_EQ(error({{"a"}, {}}),
            "write_vectors: table must be [1, dim] and not empty, got no tensor");
}

}  // namespace
}  // namespace rowlane::testing
