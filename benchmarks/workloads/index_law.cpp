#include "workloads/index_law.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "workloads/random.h"

namespace rowlane::bench {
namespace {

// Draws rows with probabilities proportional to 1 / rank^exponent by inverting their running sum.
class PermutedZipf {
 public:
  PermutedZipf(std::int64_t num_rows, double exponent, Random& random)
      : cumulative_(static_cast<std::size_t>(num_rows)),
        row_of_rank_(static_cast<std::size_t>(num_rows)) {
    double sum = 0.0;
    for (std::size_t rank = 0; rank < cumulative_.size(); ++rank) {
      sum += std::pow(static_cast<double>(rank + 1), -exponent);
      cumulative_[rank] = sum;
    }
    std::iota(row_of_rank_.begin(), row_of_rank_.end(), std::int64_t{0});
    random.shuffle(row_of_rank_);
  }

  std::int64_t draw(Random& random) const {
    const double target = random.uniform() * cumulative_.back();
    const auto rank = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, target);
    return row_of_rank_[static_cast<std::size_t>(rank - cumulative_.begin())];
  }

 private:
  std::vector<double> cumulative_;
  std::vector<std::int64_t> row_of_rank_;
};

}  // namespace

std::string IndexSource::label() const {
  std::ostringstream text;
  switch (law) {
    case IndexLaw::kUniform:
      text << "uniform";
      break;
    case IndexLaw::kZipf: {
      const bool has_two_decimals = std::abs(std::remainder(parameter * 10, 1.0)) > 1e-9;
      text.setf(std::ios::fixed);
      text.precision(has_two_decimals ? 2 : 1);
      text << "zipf(" << parameter << ")";
      break;
    }
    case IndexLaw::kHotRow:
      text << std::lround(parameter * 100) << "% one row";
      break;
    case IndexLaw::kRatingUsers:
      text << "ml-100k users";
      break;
    case IndexLaw::kRatingItems:
      text << "ml-100k items";
      break;
  }
  return text.str();
}

bool IndexSource::is_ratings() const {
  return law == IndexLaw::kRatingUsers || law == IndexLaw::kRatingItems;
}

std::vector<std::int64_t> draw_indices(const IndexSource& source, std::int64_t num_rows,
                                       std::int64_t count) {
  Random random(kIndexSeed);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  switch (source.law) {
    case IndexLaw::kZipf: {
      const PermutedZipf rows(num_rows, source.parameter, random);
      std::generate(indices.begin(), indices.end(), [&] { return rows.draw(random); });
      break;
    }
    case IndexLaw::kHotRow: {
      const std::int64_t hot = random.below(num_rows);
      std::generate(indices.begin(), indices.end(), [&] {
        const bool is_hot = random.uniform() < source.parameter;
        return is_hot ? hot : random.below(num_rows);
      });
      break;
    }
    default:
      std::generate(indices.begin(), indices.end(), [&] { return random.below(num_rows); });
  }
  return indices;
}

}  // namespace rowlane::bench
