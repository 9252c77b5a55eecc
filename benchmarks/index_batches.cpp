#include "index_batches.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>

namespace rowlane::bench {
namespace {

// mt19937_64's numbers are the same everywhere; the distributions of <random> aren't, so the two
// that are needed are written out.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  // In [0, 1).
  double uniform() { return static_cast<double>(engine_() >> 11U) * 0x1.0p-53; }

  // In [0, bound).
  std::int64_t below(std::int64_t bound) {
    return std::min(bound - 1, static_cast<std::int64_t>(uniform() * static_cast<double>(bound)));
  }

  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1],
                values[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
    }
  }

 private:
  std::mt19937_64 engine_;
};

constexpr std::uint64_t kSeed = 20180315;

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

// Indices for `count` batches, one after the other.
std::vector<std::int64_t> draw_indices(const Problem& problem, std::int64_t count) {
  Random random(kSeed);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  switch (problem.indices.law) {
    case IndexLaw::kZipf: {
      const PermutedZipf zipf(problem.num_rows, problem.indices.parameter, random);
      std::generate(indices.begin(), indices.end(), [&] { return zipf.draw(random); });
      break;
    }
    case IndexLaw::kHotRow: {
      const std::int64_t hot_row = random.below(problem.num_rows);
      std::generate(indices.begin(), indices.end(), [&] {
        const bool is_hot = random.uniform() < problem.indices.parameter;
        return is_hot ? hot_row : random.below(problem.num_rows);
      });
      break;
    }
    default:
      std::generate(indices.begin(), indices.end(), [&] { return random.below(problem.num_rows); });
  }
  return indices;
}

// The first `count` ids, from the beginning again when there are fewer.
std::vector<std::int64_t> take_ids(const std::vector<std::int64_t>& ids, std::int64_t num_rows,
                                   std::int64_t count) {
  std::vector<std::int64_t> taken(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < taken.size(); ++i) {
    taken[i] = ids[i % ids.size()];
    if (taken[i] < 0 || taken[i] >= num_rows) {
      throw std::runtime_error("The ratings name id " + std::to_string(taken[i]) +
                               ", but MovieLens 100K has ids below " + std::to_string(num_rows) +
                               ".");
    }
  }
  return taken;
}

// The first two fields of a line.
std::array<std::int64_t, 2> parse_ids(const std::string& line, std::size_t line_number,
                                      const std::filesystem::path& path) {
  try {
    std::size_t length = 0;
    const std::int64_t user = std::stoll(line, &length);
    if (line.at(length) != ',') {
      throw std::invalid_argument("no comma");
    }
    return {user, std::stoll(line.substr(length + 1))};
  } catch (const std::logic_error&) {
    throw std::runtime_error(path.string() + ", line " + std::to_string(line_number) +
                             ": expected user_id,movie_id,rating,timestamp, got '" + line + "'.");
  }
}

}  // namespace

std::filesystem::path ratings_path(const std::filesystem::path& data_dir) {
  return data_dir / "ml-100k" / "ratings.csv";
}

std::optional<Ratings> load_ratings(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    return std::nullopt;
  }
  std::vector<std::array<std::int64_t, 2>> pairs;
  for (std::size_t line_number = 2; std::getline(file, line); ++line_number) {
    pairs.push_back(parse_ids(line, line_number, path));
  }
  if (pairs.empty()) {
    throw std::runtime_error(path.string() + " has no ratings.");
  }
  Random(kSeed).shuffle(pairs);
  Ratings ratings;
  for (const auto& [user, item] : pairs) {
    ratings.users.push_back(user);
    ratings.items.push_back(item);
  }
  return ratings;
}

std::vector<at::Tensor> make_index_batches(const Problem& problem, int count,
                                           const Ratings* ratings, at::Device device) {
  const std::int64_t num_indices = problem.num_indices();
  const std::int64_t total = num_indices * count;
  std::vector<std::int64_t> indices;
  if (problem.indices.is_ratings()) {
    const bool is_users = problem.indices.law == IndexLaw::kRatingUsers;
    indices = take_ids(is_users ? ratings->users : ratings->items, problem.num_rows, total);
  } else {
    indices = draw_indices(problem, total);
  }
  std::vector<at::Tensor> batches;
  for (int batch = 0; batch < count; ++batch) {
    const at::ArrayRef<std::int64_t> slice(indices.data() + batch * num_indices,
                                           static_cast<std::size_t>(num_indices));
    batches.push_back(at::tensor(slice, at::kLong)
                          .view(problem.index_shape)
                          .to(at::TensorOptions().device(device).dtype(problem.index_dtype)));
  }
  return batches;
}

}  // namespace rowlane::bench
