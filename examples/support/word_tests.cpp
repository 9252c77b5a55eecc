#include "word_tests.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "ranking.h"
#include "top_rows.h"

namespace rowlane::examples {
namespace {

// Rows of length 1.
at::Tensor unit_rows(const at::Tensor& table) {
  return table / table.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12);
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const auto size = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / size;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / size;
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xy / std::sqrt(xx * yy);
}

}  // namespace

std::vector<Neighbour> nearest_words(const Vocabulary& vocabulary, const at::Tensor& table,
                                     const std::string& word, std::int64_t count) {
  const std::int64_t row = vocabulary.find(word);
  if (row < 0) {
    throw std::runtime_error("'" + word + "' is not in the vocabulary");
  }
  const at::Tensor rows = unit_rows(table);
  at::Tensor cosines = at::mv(rows, rows[row]);
  cosines[row] = -2;
  std::vector<Neighbour> neighbours;
  for (const ScoredRow& scored :
       top_rows("cosines", cosines, std::min(count, vocabulary.size() - 1), /*is_largest=*/true)) {
    if (scored.row != row) {
      neighbours.push_back(
          {vocabulary.words()[static_cast<std::size_t>(scored.row)], scored.score});
    }
  }
  return neighbours;
}

TestScore similarity_score(const Vocabulary& vocabulary, const at::Tensor& table,
                           const std::vector<JudgedPair>& pairs) {
  const at::Tensor rows = unit_rows(table);
  std::vector<double> cosines;
  std::vector<double> judgements;
  for (const auto& [words, judgement] : pairs) {
    const std::int64_t row_a = vocabulary.find(words[0]);
    const std::int64_t row_b = vocabulary.find(words[1]);
    if (row_a >= 0 && row_b >= 0) {
      cosines.push_back(at::dot(rows[row_a], rows[row_b]).item<double>());
      judgements.push_back(judgement);
    }
  }
  return {correlation(mean_ranks("cosines of judged pairs", cosines),
                      mean_ranks("judgements", judgements)),
          static_cast<std::int64_t>(cosines.size()), static_cast<std::int64_t>(pairs.size())};
}

TestScore analogy_score(const Vocabulary& vocabulary, const at::Tensor& table,
                        const std::vector<Analogy>& analogies) {
  std::array<std::vector<std::int64_t>, 4> asked;  // a, b, c, d of each question
  for (const Analogy& analogy : analogies) {
    std::array<std::int64_t, 4> question{};
    std::transform(analogy.begin(), analogy.end(), question.begin(),
                   [&](const std::string& word) { return vocabulary.find(word); });
    if (std::all_of(question.begin(), question.end(), [](std::int64_t row) { return row >= 0; })) {
      for (std::size_t i = 0; i < question.size(); ++i) {
        asked[i].push_back(question[i]);
      }
    }
  }

  constexpr std::int64_t kChunk = 512;  // questions at a time: their cosines with all words
  const auto num_asked = static_cast<std::int64_t>(asked[0].size());
  const at::Tensor rows = unit_rows(table);
  std::array<at::Tensor, 4> columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    columns[i] = at::tensor(asked[i], at::kLong);
  }
  report_not_a_number("words' vectors", rows.isnan().any(1).sum().item<std::int64_t>(),
                      rows.size(0));
  std::int64_t num_right = 0;
  for (std::int64_t begin = 0; begin < num_asked; begin += kChunk) {
    const std::int64_t size = std::min(kChunk, num_asked - begin);
    std::array<at::Tensor, 4> chunk;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      chunk[i] = columns[i].narrow(0, begin, size);
    }
    const auto& [a, b, c, d] = chunk;
    const at::Tensor wanted =
        rows.index_select(0, b) - rows.index_select(0, a) + rows.index_select(0, c);
    at::Tensor scores = at::mm(wanted, rows.t());
    for (const at::Tensor& excluded : {a, b, c}) {
      scores.scatter_(1, excluded.unsqueeze(1), -std::numeric_limits<float>::infinity());
    }
    // Nothing is nearest to what isn't a number, nor is that nearest to anything.
    scores.masked_fill_(scores.isnan(), -std::numeric_limits<float>::infinity());
    const at::Tensor has_score = scores.gather(1, d.unsqueeze(1)).squeeze(1).isfinite();
    num_right += scores.argmax(1).eq(d).logical_and(has_score).sum().item<std::int64_t>();
  }
  return {num_asked > 0 ? static_cast<double>(num_right) / static_cast<double>(num_asked) : NAN,
          num_asked, static_cast<std::int64_t>(analogies.size())};
}

WordTests read_word_tests(const std::filesystem::path& data_dir) {
  return {read_judged_pairs(data_dir / "wordsim353.tsv"),
          read_analogies(data_dir / "questions-words.txt")};
}

WordScores score_words(const Vocabulary& vocabulary, const at::Tensor& table,
                       const WordTests& tests) {
  return {similarity_score(vocabulary, table, tests.pairs),
          analogy_score(vocabulary, table, tests.analogies)};
}

void print_neighbours(const Vocabulary& vocabulary, const at::Tensor& table,
                      const std::string& word, std::int64_t count) {
  std::printf("%-8s", word.c_str());
  if (vocabulary.find(word) < 0) {
    std::printf("  is not in the vocabulary\n");
    return;
  }
  for (const Neighbour& neighbour : nearest_words(vocabulary, table, word, count)) {
    std::printf("  %s %.2f", neighbour.word.c_str(), neighbour.cosine);
  }
  std::printf("\n");
}

void write_both_formats(const std::filesystem::path& path, const WordVectors& vectors) {
  const std::pair<std::string, VectorFormat> files[] = {
      {path.string() + ".txt", VectorFormat::kWord2vecText},
      {path.string() + ".bin", VectorFormat::kWord2vecBinary}};
  for (const auto& [file, format] : files) {
    write_vectors(file, vectors, format);
  }
  for (const auto& [file, format] : files) {
    const WordVectors read = read_vectors(file, format);
    if (read.words != vectors.words ||
        !at::allclose(read.table, vectors.table, /*rtol=*/0, /*atol=*/0, /*equal_nan=*/true)) {
      throw std::runtime_error(file + " is read as other vectors than were written");
    }
    std::printf("wrote %s, and read the same vectors from it\n", file.c_str());
  }
}

}  // namespace rowlane::examples
