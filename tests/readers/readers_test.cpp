// Text of any system is read alike, and each reader refuses with the sentence that its header has.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "examples/support/corpus.h"
#include "examples/support/csv.h"
#include "examples/support/ranking.h"
#include "examples/support/ratings.h"
#include "examples/support/safetensors_header.h"
#include "examples/support/text_file.h"
#include "examples/support/vector_file.h"
#include "examples/support/word_questions.h"
#include "tests/examples/temporary_directory.h"

namespace rowlane::testing {
namespace {

using namespace rowlane::examples;  // NOLINT(google-build-using-namespace): all of it is tested
using Words = std::vector<std::string>;

// The text with a mark, with returns, without an end, and with all three.
Words as_of_any_system(const std::string& text) {
  std::string returns;
  for (const char c : text) {
    returns += c == '\n' ? std::string("\r\n") : std::string(1, c);
  }
  const std::string mark = "\xEF\xBB\xBF";
  return {text, mark + text, returns, text.substr(0, text.size() - 1),
          mark + returns.substr(0, returns.size() - 2)};
}

TEST(Readers, ReadTextOfAnySystemAlike) {
  const TemporaryDirectory directory;
  const auto items = directory.write("i", "movie_id,title\n7,\"Gattaca, again\"\n");
  for (const std::string& text : as_of_any_system("a b\nc\n")) {
    EXPECT_EQ(read_lines(directory.write("t", text)), Words({"a b", "c"}));
    const Corpus corpus = read_corpus(directory.write("t", text), {.min_count = 1, .unknown = ""});
    EXPECT_EQ(corpus.vocabulary.words(), Words({"a", "b", "c"}));
    EXPECT_EQ(corpus.line_ends, (std::vector<std::int64_t>{2, 3}));
  }
  for (const std::string& text : as_of_any_system("x,y\n1,\"a, \"\"b\"\"\"\n")) {
    EXPECT_EQ(read_csv(directory.write("t", text), {"x", "y"}),
              std::vector<CsvRow>({{"1", "a, \"b\""}}));
  }
  for (const std::string& text :
       as_of_any_system("user_id,movie_id,rating,timestamp\n5,7,2.5,1\n")) {
    const std::vector<Rating> ratings = read_ratings(directory.write("t", text), items);
    ASSERT_EQ(ratings.size(), 1U);
    EXPECT_EQ(ratings[0].title, "Gattaca, again");
    EXPECT_EQ(ratings[0].stars, 2.5F);
  }
  for (const std::string& text : as_of_any_system("# pairs\nLove\tsex\t6.77\n")) {
    const std::vector<JudgedPair> pairs = read_judged_pairs(directory.write("t", text));
    ASSERT_EQ(pairs.size(), 1U);
    EXPECT_EQ(pairs[0].words[0], "love");
    EXPECT_EQ(pairs[0].judgement, 6.77);
  }
  for (const std::string& text : as_of_any_system(": places\nAthens Greece Oslo Norway\n")) {
    EXPECT_EQ(read_analogies(directory.write("t", text)),
              std::vector<Analogy>({{"athens", "greece", "oslo", "norway"}}));
  }
  for (const VectorFormat format : {VectorFormat::kWord2vecText, VectorFormat::kGloveText}) {
    const std::string header = format == VectorFormat::kGloveText ? "" : "2 2\n";
    for (const std::string& text : as_of_any_system(header + "the 1 -2\ncafé 0.5 3\n")) {
      const VectorData data = read_vector_file(directory.write("t", text), format);
      EXPECT_EQ(data.words, Words({"the", "café"}));
      EXPECT_EQ(data.numbers, std::vector<float>({1, -2, 0.5, 3}));
    }
  }
}

TEST(Readers, SkipEmptyLines) {
  const TemporaryDirectory directory;
  EXPECT_EQ(read_csv(directory.write("t", "x,y\n\n1,2\r\n\r\n"), {"x", "y"}).size(), 1U);
  EXPECT_EQ(read_analogies(directory.write("t", "\na b c d\n\r\n")).size(), 1U);
  EXPECT_EQ(
      read_vector_file(directory.write("t", "the 1\n\na 2\n\n"), VectorFormat::kGloveText).dim, 1);
}

TEST(Readers, NameAFileThatCannotBeRead) {
  const TemporaryDirectory directory;
  for (const auto& path : {directory.path(), directory.file("none")}) {
    const std::string sentence = "cannot read " + path.string();
    EXPECT_EQ(message_of([&] { read_text(path); }), sentence);
    EXPECT_EQ(message_of([&] { read_csv(path, {"x"}); }), sentence);
    EXPECT_EQ(message_of([&] { read_corpus(path, {}); }), sentence);
    EXPECT_EQ(message_of([&] { read_ratings(path, path); }), sentence);
    EXPECT_EQ(message_of([&] { read_judged_pairs(path); }), sentence);
    EXPECT_EQ(message_of([&] { read_analogies(path); }), sentence);
    EXPECT_EQ(message_of([&] { read_safetensors_header(path); }), sentence);
    EXPECT_EQ(message_of([&] { read_vector_file(path, VectorFormat::kGloveText); }), sentence);
  }
}

// What read(path) says of each text.
template <typename Read>
void expect_sentences(const std::vector<std::pair<std::string, std::string>>& cases, Read&& read) {
  const TemporaryDirectory directory;
  for (const auto& [text, sentence] : cases) {
    const std::string path = directory.write("t", text).string();
    EXPECT_EQ(message_of([&] { read(path); }), std::string(path).append(": ").append(sentence));
  }
}

TEST(Readers, SayWhatIsWrongInATable) {
  expect_sentences(
      {
          {"", "unexpected columns in its first line: "},
          {"x;y\n1,2\n", "unexpected columns in its first line: x;y"},
          {"x,\"y\n1,2\n", "unexpected columns in its first line: x,\"y"},
          {"x,y\n1,2\n3\n", "row 2 has 1 fields: 3"},
          {"x,y\n1,2,3\n", "row 1 has 3 fields: 1,2,3"},
          {"x,y\n1,\"2\n", "row 1 has a quote that is not closed"},
          {"x,y\n1,2\"3\n", "row 1 has a quote within a field"},
          {"x,y\n1,\"2\"3\n", "row 1 has a quote within a field"},
      },
      [](const auto& path) {
        read_csv(path, {"x", "y"});
      });
  for (const char* field : {"x", "", "1x", "nan", "inf", "1e99", " 1"}) {
    EXPECT_EQ(message_of([&] { csv_number(field, "rating", "PATH: row 2"); }),
              "PATH: row 2: rating must be a number, got \"" + std::string(field) + "\"");
  }
}

TEST(Readers, SayWhatIsWrongInRatings) {
  const TemporaryDirectory directory;
  const auto items = directory.write("i", "movie_id,title\n3,Fargo\n");
  const std::string header = "user_id,movie_id,rating,timestamp\n";
  expect_sentences(
      {
          {header + "0,3,1,0\n", "row 1: user_id must be 1 or more, got 0"},
          {header + "1,3,1,0\n1,3.5,1,0\n", "row 2: movie_id must be 1 or more, got 3.5"},
          {header + "99999999999999999999,3,1,0\n",
           "row 1: user_id must be 1 or more, got 99999999999999999999"},
          {header + "1,7,1,0\n", "row 1: no title for movie_id 7"},
          {header + "1,3,good,0\n", "row 1: rating must be a number, got \"good\""},
      },
      [&](const auto& path) { read_ratings(path, items); });
}

TEST(Readers, SayWhatIsWrongInWords) {
  expect_sentences({{"a b\na\n", "no word occurs 5 times"}, {"", "no word occurs 5 times"}},
                   [](const auto& path) { read_corpus(path, {}); });
  expect_sentences({{"a\tb\n", "unexpected line: a\tb"},
                    {"a b 1 2\n", "unexpected line: a b 1 2"},
                    {"a b 1x\n", "unexpected line: a b 1x"},
                    {"a b nan\n", "unexpected line: a b nan"}},
                   read_judged_pairs);
  expect_sentences(
      {{"a b c\n", "unexpected line: a b c"}, {"a b c d e\n", "unexpected line: a b c d e"}},
      read_analogies);
}

std::string safetensors_file(const std::string& header, std::size_t num_bytes) {
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header +
         std::string(num_bytes, '\0');
}

TEST(Readers, KeepTensorsOfOtherTypes) {
  const TemporaryDirectory directory;
  const auto entries = read_safetensors_header(directory.write(
      "t", safetensors_file(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},)"
                            R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                            8)));
  EXPECT_EQ(entries.at("a").dtype, "F8_E4M3");
  EXPECT_EQ(entries.at("b").num_bytes, 4);
}

TEST(Readers, RefuseSizesThatAreNoWholeNumbers) {
  const auto entry = [](const std::string& shape, const std::string& ends) {
    return safetensors_file(
        R"({"a":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":)" + ends + "}}", 4);
  };
  const std::string place = "offset 8: the header's entry \"a\": ";
  const std::string no_shape = place + "its shape must be an array of whole numbers";
  const std::string no_bytes = place + "its shape and dtype don't make the 0 bytes that it has";
  expect_sentences(
      {
          {entry("[2.5]", "[0,2]"), no_shape},
          {entry("[true]", "[0,1]"), no_shape},
          {entry("{\"x\":2}", "[0,2]"), no_shape},
          {entry("[18446744073709551615]", "[0,4]"), no_shape},
          {entry("[1]", "[0,1.5]"), place + "its data_offsets must be an array of whole numbers"},
          {entry("[1]", "[0,1,2]"), place + "its data_offsets must be two numbers"},
          // Strides that 64 bits don't hold.
          {entry("[0,4611686018427387904,4611686018427387904]", "[0,0]"), no_bytes},
      },
      read_safetensors_header);
  const TemporaryDirectory directory;
  const std::string path = directory.write("t", entry("[1e999]", "[0,1]")).string();
  EXPECT_EQ(message_of([&] {
              read_safetensors_header(path);
            }).find(path + ": offset 8: the header isn't JSON: "),
            0U);
}

TEST(Readers, RefuseABinaryVectorWithoutAWord) {
  expect_sentences({{"1 1\n \1\1\1\1", "offset 4: the word is missing"}},
                   [](const auto& path) { read_vector_file(path, VectorFormat::kWord2vecBinary); });
}

TEST(WriteVectorFile, KeepsTheSpacesOfGlovesWords) {
  const TemporaryDirectory directory;
  const Words words = {"the", ". . ."};
  const std::vector<float> numbers = {1, 2};
  write_vector_file(directory.file("t"), words, numbers, VectorFormat::kGloveText);
  EXPECT_EQ(read_vector_file(directory.file("t"), VectorFormat::kGloveText).words, words);
  EXPECT_EQ(message_of([] {
              check_words({". .", "the"}, VectorFormat::kGloveText);
            }),
            "write_vectors: words must have no white space, got \". .\"");
  EXPECT_EQ(message_of([] {
              check_words({"the", "a b"}, VectorFormat::kWord2vecText);
            }),
            "write_vectors: words must have no white space, got \"a b\"");
}

TEST(MeanRanks, GivesEqualValuesTheMean) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(mean_ranks("values", {3, 1, 3, -infinity, infinity, infinity}),
            (std::vector<double>{3.5, 2, 3.5, 1, 5.5, 5.5}));
}

TEST(MeanRanks, EndsWithNotANumberAndSaysSo) {
  ::testing::internal::CaptureStderr();
  for (const double rank : mean_ranks("values", {3, NAN, 1, NAN})) {
    EXPECT_TRUE(std::isnan(rank));
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "2 of 4 values are not-a-number\n");
}

}  // namespace
}  // namespace rowlane::testing
