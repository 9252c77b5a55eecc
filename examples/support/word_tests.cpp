#include "word_tests.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace rowlane::examples {
namespace {

// The lines of a file without those that begin with `comment`, in lower case.
std::vector<std::string> read_lines(const std::filesystem::path& path, char comment) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error("cannot read " + path.string());
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.front() != comment) {
      std::transform(line.begin(), line.end(), line.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& line) {
  throw std::runtime_error(path.string() + ": unexpected line: " + line);
}

// Rows of length 1.
at::Tensor unit_rows(const at::Tensor& table) {
  return table / table.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12);
}

// Ranks from 1 on; equal values get the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (std::size_t i = begin; i < end; ++i) {
      ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    }
    begin = end;
  }
  return ranks;
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
  const at::Tensor cosines = at::mv(rows, rows[row]);
  cosines[row] = -2;
  const auto [values, numbers] = cosines.topk(std::min(count, vocabulary.size() - 1));
  std::vector<Neighbour> neighbours;
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    neighbours.push_back(
        {vocabulary.words()[numbers[i].item<std::int64_t>()], values[i].item<double>()});
  }
  return neighbours;
}

TestScore similarity_score(const Vocabulary& vocabulary, const at::Tensor& table,
                           const std::filesystem::path& path) {
  const at::Tensor rows = unit_rows(table);
  std::vector<double> cosines;
  std::vector<double> judgements;
  const std::vector<std::string> lines = read_lines(path, '#');
  for (const std::string& line : lines) {
    std::istringstream stream(line);
    std::string a;
    std::string b;
    double judgement = 0;
    if (!(stream >> a >> b >> judgement)) {
      fail(path, line);
    }
    const std::int64_t row_a = vocabulary.find(a);
    const std::int64_t row_b = vocabulary.find(b);
    if (row_a >= 0 && row_b >= 0) {
      cosines.push_back(at::dot(rows[row_a], rows[row_b]).item<double>());
      judgements.push_back(judgement);
    }
  }
  return {correlation(ranks(cosines), ranks(judgements)), static_cast<std::int64_t>(cosines.size()),
          static_cast<std::int64_t>(lines.size())};
}

TestScore analogy_score(const Vocabulary& vocabulary, const at::Tensor& table,
                        const std::filesystem::path& path) {
  const std::vector<std::string> lines = read_lines(path, ':');
  std::array<std::vector<std::int64_t>, 4> asked;  // a, b, c, d of each question
  for (const std::string& line : lines) {
    std::istringstream stream(line);
    std::array<std::int64_t, 4> question{};
    for (std::int64_t& row : question) {
      std::string word;
      if (!(stream >> word)) {
        fail(path, line);
      }
      row = vocabulary.find(word);
    }
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
    num_right += scores.argmax(1).eq(d).sum().item<std::int64_t>();
  }
  return {num_asked > 0 ? static_cast<double>(num_right) / static_cast<double>(num_asked) : NAN,
          num_asked, static_cast<std::int64_t>(lines.size())};
}

WordScores score_words(const Vocabulary& vocabulary, const at::Tensor& table,
                       const std::filesystem::path& data_dir) {
  return {similarity_score(vocabulary, table, data_dir / "wordsim353.tsv"),
          analogy_score(vocabulary, table, data_dir / "questions-words.txt")};
}

void print_neighbours(const Vocabulary& vocabulary, const at::Tensor& table,
                      const std::string& word, std::int64_t count) {
  std::printf("%-8s", word.c_str());
  for (const Neighbour& neighbour : nearest_words(vocabulary, table, word, count)) {
    std::printf("  %s %.2f", neighbour.word.c_str(), neighbour.cosine);
  }
  std::printf("\n");
}

void write_both_formats(const std::filesystem::path& path, const WordVectors& vectors) {
  for (const auto& [ending, format] : {std::pair(".txt", VectorFormat::kWord2vecText),
                                       std::pair(".bin", VectorFormat::kWord2vecBinary)}) {
    const std::string file = path.string() + ending;
    write_vectors(file, vectors, format);
    const WordVectors read = read_vectors(file, format);
    if (read.words != vectors.words || !at::equal(read.table, vectors.table)) {
      throw std::runtime_error(file + " is read as other vectors than were written");
    }
    std::printf("wrote %s, and read the same vectors from it\n", file.c_str());
  }
}

}  // namespace rowlane::examples
