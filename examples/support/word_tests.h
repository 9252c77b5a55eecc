// How good word vectors are: nearest neighbours, similarities that people judged, analogies.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "corpus.h"
#include "vectors.h"
#include "word_questions.h"

namespace rowlane::examples {

struct Neighbour {
  std::string word;
  double cosine;
};

// `table` [vocabulary.size(), dim], float; `word` has to be in the vocabulary. The word itself is
// not among its neighbours, nor is a word whose cosine is not-a-number.
std::vector<Neighbour> nearest_words(const Vocabulary& vocabulary, const at::Tensor& table,
                                     const std::string& word, std::int64_t count);

struct TestScore {
  double score;            // NaN when nothing could be asked
  std::int64_t num_asked;  // without those that have a word that is not in the vocabulary
  std::int64_t num_total;
};

// Spearman's rank correlation of the cosines with the judgements. Ties get the mean of their ranks.
// NaN when a cosine is. Source of the test: Finkelstein et al., "Placing Search in Context".
TestScore similarity_score(const Vocabulary& vocabulary, const at::Tensor& table,
                           const std::vector<JudgedPair>& pairs);

// The share of analogies for which, of all words but a, b and c, d is nearest to b - a + c (of
// vectors of length 1). A vector that is not-a-number is nearest to nothing. Source:
// Mikolov et al., "Efficient Estimation of Word Representations in Vector Space".
TestScore analogy_score(const Vocabulary& vocabulary, const at::Tensor& table,
                        const std::vector<Analogy>& analogies);

struct WordScores {
  TestScore similarity;
  TestScore analogies;
};

struct WordTests {
  std::vector<JudgedPair> pairs;
  std::vector<Analogy> analogies;
};

// The tests wordsim353.tsv and questions-words.txt in `data_dir`; throws as word_questions.h says.
WordTests read_word_tests(const std::filesystem::path& data_dir);

WordScores score_words(const Vocabulary& vocabulary, const at::Tensor& table,
                       const WordTests& tests);

// The words nearest to `word` and their cosines, or that it isn't in the vocabulary, as a line on
// standard output.
void print_neighbours(const Vocabulary& vocabulary, const at::Tensor& table,
                      const std::string& word, std::int64_t count);

// Writes `path`.txt and `path`.bin, word2vec's two formats, and then reads both back.
//
// Throws std::runtime_error when one can't be written, or isn't read as the numbers that were
// written.
void write_both_formats(const std::filesystem::path& path, const WordVectors& vectors);

}  // namespace rowlane::examples
