// Which rows a workload looks up, and how often each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rowlane::bench {

enum class IndexLaw : std::uint8_t {
  // Every row is equally likely.
  kUniform,
  // The k-th most frequent row has a probability proportional to 1 / k^parameter; which row that is
  // is drawn at random, so frequent rows are scattered over the table.
  kZipf,
  // `parameter` of the indices name one row, the others are uniform.
  kHotRow,
  // The user or item ids of consecutive shuffled MovieLens ratings.
  kRatingUsers,
  kRatingItems,
};

struct IndexSource {
  IndexLaw law = IndexLaw::kUniform;
  double parameter = 0.0;

  // "uniform", "zipf(1.0)", "90% one row", "ml-100k users", "ml-100k items".
  [[nodiscard]] std::string label() const;
  [[nodiscard]] bool is_ratings() const;
};

inline constexpr IndexSource kUniform{IndexLaw::kUniform, 0.0};
constexpr IndexSource zipf(double exponent) { return {IndexLaw::kZipf, exponent}; }
constexpr IndexSource hot_row(double share) { return {IndexLaw::kHotRow, share}; }

// `count` rows below num_rows by a law that isn't a data set's, the same in every run.
std::vector<std::int64_t> draw_indices(const IndexSource& source, std::int64_t num_rows,
                                       std::int64_t count);

}  // namespace rowlane::bench
