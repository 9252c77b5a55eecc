// Texts as numbers, windows over them, tests of word vectors, and steps of looked-up rows.
#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

#include "examples/support/corpus.h"
#include "examples/support/device_link.h"
#include "examples/support/row_sgd.h"
#include "examples/support/text_sequences.h"
#include "examples/support/vectors.h"
#include "examples/support/word_tests.h"
#include "examples/support/word_windows.h"

namespace rowlane::examples {
namespace {

// A file with this text, which goes with the object.
class TextFile {
 public:
  TextFile(const std::string& name, const std::string& text)
      : path(std::filesystem::temp_directory_path() / ("rowlane_words_test_" + name)) {
    std::ofstream(path) << text;
  }
  ~TextFile() { std::filesystem::remove(path); }

  std::filesystem::path path;
};

TEST(CorpusTest, NumbersWordsFromTheMostFrequentOne) {
  const TextFile file("order.txt", "b a c a\nb a d\n\nc b\n");
  const Corpus corpus = read_corpus(file.path, {.min_count = 2});
  EXPECT_EQ(corpus.vocabulary.words(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(corpus.counts, (std::vector<std::int64_t>{3, 3, 2}));
  EXPECT_EQ(corpus.tokens, (std::vector<std::int32_t>{1, 0, 2, 0, 1, 0, 2, 1}));
  EXPECT_EQ(corpus.line_ends, (std::vector<std::int64_t>{4, 6, 6, 8}));
  EXPECT_EQ(corpus.num_words, 9);
  EXPECT_EQ(corpus.vocabulary.find("c"), 2);
  EXPECT_EQ(corpus.vocabulary.find("d"), -1);
}

TEST(CorpusTest, PutsTheUnknownWordForWhatIsLeftOut) {
  const TextFile file("unknown.txt", "a b a c a b");
  const Corpus corpus =
      read_corpus(file.path, {.min_count = 1, .max_words = 2, .unknown = "<unk>"});
  EXPECT_EQ(corpus.vocabulary.words(), (std::vector<std::string>{"a", "b", "<unk>"}));
  EXPECT_EQ(corpus.counts, (std::vector<std::int64_t>{3, 2, 1}));
  EXPECT_EQ(corpus.tokens, (std::vector<std::int32_t>{0, 1, 0, 2, 0, 1}));
  EXPECT_EQ(corpus.line_ends, (std::vector<std::int64_t>{6}));
}

TEST(CorpusTest, SaysWhatIsMissing) {
  const TextFile file("rare.txt", "a b c");
  EXPECT_THROW(read_corpus(file.path, {.min_count = 2}), std::runtime_error);
  EXPECT_THROW(read_corpus("/nowhere.txt", {}), std::runtime_error);
}

// The blocks of some lines of a text whose words are 0 to 99, ten in a line.
std::vector<WindowBlock> blocks_of_ten_lines(const WindowOptions& options, std::uint64_t seed,
                                             std::int64_t begin = 0, std::int64_t end = 10) {
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += static_cast<char>('a' + i / 10);
    text += static_cast<char>('a' + i % 10);
    text += i % 10 == 9 ? '\n' : ' ';
  }
  const TextFile file("lines.txt", text);
  const Corpus corpus = read_corpus(file.path, {.min_count = 1});
  WindowSampler sampler(corpus, options);
  sampler.start(begin, end, seed);
  std::vector<WindowBlock> blocks;
  for (WindowBlock block; sampler.next(block);) {
    block.in_words = block.in_words.clone();
    blocks.push_back(block);
  }
  EXPECT_EQ(sampler.num_tokens_read(), 10 * (end - begin));
  return blocks;
}

TEST(WindowSamplerTest, PairsEachWordWithItsNeighboursInTheLine) {
  const std::int64_t window = 3;
  double num_pairs = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    // 64 blocks are read at a time: the text at once, or in portions.
    const std::int64_t block_words = seed % 2 == 0 ? 1 : 7;
    std::int64_t num_middles = 0;
    for (const WindowBlock& block : blocks_of_ten_lines(
             {.window = window, .sample = 0, .block_words = block_words, .block_negatives = 4},
             seed)) {
      const std::int64_t size = block.num_middles();
      const at::Tensor pairs = window_pairs(block);
      ASSERT_EQ(pairs.sizes(), (std::vector<std::int64_t>{block.num_words(), size}));
      const at::Tensor rows = at::mul(block.in_words, 1.0F).unsqueeze(1);
      EXPECT_TRUE(
          at::allclose(window_means(block, rows),
                       at::mm(pairs.t(), rows).div(pairs.sum(0).clamp_min(1).unsqueeze(1))));
      const at::Tensor gradients = torch::arange(2.0F * static_cast<float>(size)).view({size, 2});
      EXPECT_TRUE(at::equal(add_to_windows(block, gradients), at::mm(pairs, gradients)));
      ASSERT_EQ(block.out_words.size(0), size + 4);
      for (std::int64_t middle = 0; middle < size; ++middle, ++num_middles) {
        const auto word = block.out_words[middle].item<std::int64_t>();
        EXPECT_EQ(word, num_middles);
        std::int64_t num_next = 0;
        for (std::int64_t i = 0; i < block.num_words(); ++i) {
          const auto other = block.in_words[i].item<std::int64_t>();
          const std::int64_t distance = std::abs(other - word);
          const bool may_pair = distance >= 1 && distance <= window && other / 10 == word / 10;
          const auto pair = pairs[i][middle].item<float>();
          EXPECT_TRUE(pair == 0 || (pair == 1 && may_pair)) << word << " " << other;
          num_next += distance == 1 && pair == 1 ? 1 : 0;
          num_pairs += pair;
        }
        EXPECT_EQ(num_next, word % 10 == 0 || word % 10 == 9 ? 1 : 2) << word;
      }
    }
    EXPECT_EQ(num_middles, 100);
  }
  // A line of ten has 18, 16 and 14 pairs of distance 1, 2 and 3, which a window of 1 to 3 has with
  // the probabilities 1, 2/3 and 1/3.
  const double expected = 80 * (18 + 16 * 2 / 3.0 + 14 / 3.0);
  EXPECT_NEAR(num_pairs, expected, 0.05 * expected);
}

TEST(WindowSamplerTest, ReadsTheLinesThatItIsGivenAndDrawsTheSameForASeed) {
  const WindowOptions options{.window = 4, .sample = 0, .block_words = 32, .block_negatives = 8};
  const auto blocks = blocks_of_ten_lines(options, 5, /*begin=*/3, /*end=*/6);
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_TRUE(at::equal(blocks[0].in_words, torch::arange(30, 60)));
  const auto same = blocks_of_ten_lines(options, 5, 3, 6);
  EXPECT_TRUE(at::equal(blocks[0].out_words, same[0].out_words));
  EXPECT_TRUE(at::equal(window_pairs(blocks[0]), window_pairs(same[0])));
  const auto other = blocks_of_ten_lines(options, 6, 3, 6);
  EXPECT_FALSE(at::equal(blocks[0].out_words, other[0].out_words));
}

TEST(WindowSamplerTest, GivesTheMeanZeroToAWindowWithoutAWord) {
  const TextFile file("alone.txt", "a\na a\n");
  const Corpus corpus = read_corpus(file.path, {.min_count = 1});
  WindowSampler sampler(corpus, {.window = 1, .sample = 0, .block_words = 3, .block_negatives = 1});
  sampler.start(0, 2, 1);
  WindowBlock block;
  ASSERT_TRUE(sampler.next(block));
  const at::Tensor rows = torch::tensor({{1.0F}, {2.0F}, {4.0F}});
  EXPECT_TRUE(at::equal(window_means(block, rows), torch::tensor({{0.0F}, {4.0F}, {2.0F}})));
  EXPECT_FALSE(sampler.next(block));
}

TEST(WindowSamplerTest, LeavesOutFrequentWordsAndDrawsNegativesByTheThreeQuarterPower) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) {
    text += i % 17 == 0 ? "rare\n" : "frequent ";
  }
  const TextFile file("frequent.txt", text);
  const Corpus corpus = read_corpus(file.path, {.min_count = 1});
  const double share = static_cast<double>(corpus.counts[0]) / 100'000;
  const double sample = 0.05;
  WindowSampler sampler(corpus, {.sample = sample, .block_words = 50, .block_negatives = 50});
  sampler.start(0, static_cast<std::int64_t>(corpus.line_ends.size()), 1);
  double num_frequent = 0;
  double num_rare_negatives = 0;
  double num_negatives = 0;
  for (WindowBlock block; sampler.next(block);) {
    const std::int64_t num_middles = block.num_middles();
    const at::Tensor middles = block.out_words.narrow(0, 0, num_middles);
    num_frequent += middles.eq(0).sum().item<double>();
    num_rare_negatives += block.out_words.narrow(0, num_middles, 50).sum().item<double>();
    num_negatives += 50;
  }
  const double kept = std::sqrt(sample / share) + sample / share;
  EXPECT_NEAR(num_frequent / static_cast<double>(corpus.counts[0]), kept, 0.02);
  EXPECT_NEAR(num_rare_negatives / num_negatives, 1 / (1 + std::pow(16.0, 0.75)), 0.01);
}

TEST(TextSequencesTest, KeepsTrainingAndValidationApart) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    // Word i twice: its first number is even.
    text += "w" + std::to_string(1000 + i) + " w" + std::to_string(1000 + i) + "x\n";
    text += i == 990 ? "\n" : "";  // no sequence begins with a line without a word
  }
  const TextFile file("sequences.txt", text);
  const Corpus corpus = read_corpus(file.path, {.min_count = 1});
  const TextSequences sequences(corpus, 16);
  const at::Tensor train = sequences.train_batch(5000);
  ASSERT_EQ(train.sizes(), (std::vector<std::int64_t>{5000, 17}));
  const at::Tensor first = train.narrow(1, 0, 1);
  EXPECT_TRUE(first.remainder(2).eq(0).all().item<bool>());
  EXPECT_TRUE(at::equal(train, at::add(first, torch::arange(17))));
  const at::Tensor valid = sequences.valid_batch(7);
  EXPECT_TRUE(at::equal(valid, sequences.valid_batch(7)));
  // Of 992 lines that 16 words follow, the last 19 are for validation; a sequence that begins in
  // one of the 16 lines before them may reach into them.
  EXPECT_TRUE(at::equal(valid.narrow(1, 0, 1).squeeze(1),
                        torch::tensor({973, 975, 978, 981, 983, 986, 989}, at::kLong).mul(2)));
  EXPECT_LT(first.min().item<std::int64_t>(), 2 * 10);
  EXPECT_GT(first.max().item<std::int64_t>(), 2 * (957 - 10));
  EXPECT_LT(first.max().item<std::int64_t>(), 2 * 957);
  EXPECT_LT(train.max().item<std::int64_t>(), valid.min().item<std::int64_t>());
  EXPECT_THROW(TextSequences(corpus, 1000), std::runtime_error);
}

// a at 0 degrees, b at 10, c at 90, d at 100; of other lengths than 1.
at::Tensor four_vectors() {
  const at::Tensor angles = torch::tensor({0.0, 10.0, 90.0, 100.0}).mul(std::numbers::pi / 180);
  const at::Tensor lengths = torch::tensor({1.0, 3.0, 0.5, 2.0}).unsqueeze(1);
  return at::mul(at::stack({angles.cos(), angles.sin()}, 1), lengths).to(at::kFloat);
}

TEST(WordTestsTest, FindsNeighboursByAngle) {
  const Vocabulary vocabulary({"a", "b", "c", "d"});
  const auto neighbours = nearest_words(vocabulary, four_vectors(), "b", 2);
  ASSERT_EQ(neighbours.size(), 2U);
  EXPECT_EQ(neighbours[0].word, "a");
  EXPECT_NEAR(neighbours[0].cosine, std::cos(10 * std::numbers::pi / 180), 1e-6);
  EXPECT_EQ(neighbours[1].word, "c");
  EXPECT_EQ(nearest_words(vocabulary, four_vectors(), "b", 9).size(), 3U);
  EXPECT_THROW(nearest_words(vocabulary, four_vectors(), "e", 2), std::runtime_error);
}

TEST(WordTestsTest, CorrelatesRanksAndLeavesOutUnknownWords) {
  const Vocabulary vocabulary({"a", "b", "c", "d"});
  // Cosines of 10, 90, 100 and 80 degrees have the ranks 4, 2, 1, 3; the judgements 4, 2.5, 2.5, 1.
  const TextFile file("similar.tsv",
                      "# comment\na\tB\t9\na\tc\t5\na\td\t5\nb\tc\t1.5\na\tnobody\t10\n");
  const TestScore score =
      similarity_score(vocabulary, four_vectors(), read_judged_pairs(file.path));
  EXPECT_EQ(score.num_asked, 4);
  EXPECT_EQ(score.num_total, 5);
  // Pearson's of (4, 2, 1, 3) and (4, 2.5, 2.5, 1): 1.5 / sqrt(5 * 4.5).
  EXPECT_NEAR(score.score, 1.5 / std::sqrt(5 * 4.5), 1e-9);
}

// A training that diverged: the vector of c is not-a-number, that of d infinite.
TEST(WordTestsTest, SurvivesNotANumber) {
  const Vocabulary vocabulary({"a", "b", "c", "d"});
  at::Tensor table = four_vectors();
  table[2].fill_(std::nanf(""));
  table[3].fill_(std::numeric_limits<float>::infinity());
  ::testing::internal::CaptureStderr();
  const auto neighbours = nearest_words(vocabulary, table, "b", 3);
  ASSERT_EQ(neighbours.size(), 1U);
  EXPECT_EQ(neighbours[0].word, "a");
  EXPECT_TRUE(nearest_words(vocabulary, table, "c", 3).empty());
  EXPECT_TRUE(std::isnan(
      similarity_score(vocabulary, table, {{{"a", "b"}, 1}, {{"a", "c"}, 2}, {{"b", "d"}, 3}})
          .score));
  // With scores that are all not-a-number the first word would be the largest.
  EXPECT_EQ(analogy_score(vocabulary, table, {{"b", "c", "d", "a"}, {"b", "b", "b", "a"}}).score,
            0.5);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "2 of 4 cosines are not-a-number\n"
            "3 of 4 cosines are not-a-number\n"
            "2 of 3 cosines of judged pairs are not-a-number\n"
            "2 of 4 words' vectors are not-a-number\n");
}

TEST(WordTestsTest, ShowsAWordThatIsMissing) {
  ::testing::internal::CaptureStdout();
  print_neighbours(Vocabulary({"a", "b", "c", "d"}), four_vectors(), "nobody", 2);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "nobody    is not in the vocabulary\n");
}

TEST(WordTestsTest, CountsAnalogiesThatAreRight) {
  const Vocabulary vocabulary({"a", "b", "c", "d", "e", "f", "g"});
  const at::Tensor table =
      at::cat({four_vectors(), torch::tensor({{-1.0F, 0.0F}, {1.0F, 1.0F}, {0.9F, -0.5F}})});
  // b - a + c is nearest to d; d - c + a to b; but a - b + d to c, not to e; b - a + g to a, which
  // doesn't count, and then to f.
  const TextFile file("analogies.txt",
                      ": section\nA b c d\nc d a b\nb a d e\na b g f\na b c nobody\n");
  const TestScore score = analogy_score(vocabulary, table, read_analogies(file.path));
  EXPECT_EQ(score.num_asked, 4);
  EXPECT_EQ(score.num_total, 5);
  EXPECT_NEAR(score.score, 3.0 / 4, 1e-9);

  // More than are asked at a time.
  std::string text;
  for (int i = 0; i < 900; ++i) {
    text += i < 600 ? "a b c d\n" : "b a d e\n";
  }
  const TextFile many("many.txt", text);
  EXPECT_NEAR(analogy_score(vocabulary, table, read_analogies(many.path)).score, 600 / 900.0, 1e-9);
}

TEST(WordTestsTest, WritesBothFormatsAndReadsThemBack) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "rowlane_words_test_both").string();
  write_both_formats(path, {{"a", "b", "c", "d"}, four_vectors()});
  EXPECT_TRUE(at::equal(read_vectors(path + ".txt", VectorFormat::kWord2vecText).table,
                        read_vectors(path + ".bin", VectorFormat::kWord2vecBinary).table));
  const float infinity = std::numeric_limits<float>::infinity();
  write_both_formats(path, {{"a"}, torch::tensor({{std::nanf(""), infinity}})});
  EXPECT_EQ(read_vectors(path + ".bin", VectorFormat::kWord2vecBinary).words.size(), 1U);
  std::filesystem::remove(path + ".txt");
  std::filesystem::remove(path + ".bin");
}

TEST(RowSgdTest, SubtractsTheSumOfARowsGradients) {
  const at::Tensor table = at::arange(8, at::kFloat).view({4, 2});
  const at::Tensor gradients = torch::tensor({{1.0F, 2.0F}, {4.0F, 8.0F}, {16.0F, 32.0F}});
  RowSgd{.learning_rate = 0.5}.step(table, torch::tensor({3, 1, 3}, at::kLong), gradients);
  EXPECT_TRUE(at::equal(
      table, torch::tensor({{0.0F, 1.0F}, {0.0F, -1.0F}, {4.0F, 5.0F}, {-2.5F, -10.0F}})));
}

TEST(DeviceLinkTest, CopiesAndCountsBothWays) {
  DeviceLink link(at::kCPU);
  const at::Tensor rows = at::ones({3, 5});
  const at::Tensor sent = link.to_device(rows);
  sent.zero_();
  EXPECT_TRUE(at::equal(rows, at::ones({3, 5})));
  EXPECT_EQ(link.num_bytes(), 60);
  link.to_host(sent.narrow(0, 0, 1));
  EXPECT_EQ(link.num_bytes(), 80);
}

}  // namespace
}  // namespace rowlane::examples
