// How good word vectors are: nearest neighbours, similarities that people judged, analogies.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "corpus.h"
#include "vectors.h"

namespace rowlane::examples {

struct Neighbour {
  std::string word;
  double cosine;
};

// `table` [vocabulary.size(), dim], float; `word` has to be in the vocabulary. The word itself is
// not among its neighbours.
std::vector<Neighbour> nearest_words(const Vocabulary& vocabulary, const at::Tensor& table,
                                     const std::string& word, std::int64_t count);

struct TestScore {
  double score;            // NaN when nothing could be asked
  std::int64_t num_asked;  // without those that have a word that is not in the vocabulary
  std::int64_t num_total;
};

// Spearman's rank correlation of the cosines with the judgements of a file of lines "word, tab,
// word, tab, judgement"; lines that begin with '#' are skipped. Ties get the mean of their ranks.
// Source of the test: Finkelstein et al., "Placing Search in Context".
//
// Throws std::runtime_error when the file can't be read or has another line.
TestScore similarity_score(const Vocabulary& vocabulary, const at::Tensor& table,
                           const std::filesystem::path& path);

// The share of the lines "a b c d" for which, of all words but a, b and c, d is nearest to
// b - a + c (of vectors of length 1); lines that begin with ':' are skipped. Source:
// Mikolov et al., "Efficient Estimation of Word Representations in Vector Space".
//
// Throws std::runtime_error when the file can't be read or has another line.
TestScore analogy_score(const Vocabulary& vocabulary, const at::Tensor& table,
                        const std::filesystem::path& path);

struct WordScores {
  TestScore similarity;
  TestScore analogies;
};

// By the tests wordsim353.tsv and questions-words.txt in `data_dir`.
WordScores score_words(const Vocabulary& vocabulary, const at::Tensor& table,
                       const std::filesystem::path& data_dir);

// The words nearest to `word` and their cosines, as a line on standard output.
void print_neighbours(const Vocabulary& vocabulary, const at::Tensor& table,
                      const std::string& word, std::int64_t count);

// Writes `path`.txt and `path`.bin, word2vec's two formats, and reads both back.
//
// Throws std::runtime_error when one can't be written, or isn't read as the bits that were written.
void write_both_formats(const std::filesystem::path& path, const WordVectors& vectors);

}  // namespace rowlane::examples
