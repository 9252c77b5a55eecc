#include "workloads/index_batches.h"

#include <ATen/ops/tensor.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string>

#include "workloads/random.h"

namespace rowlane::bench {
namespace {

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
  Random(kIndexSeed).shuffle(pairs);
  Ratings ratings;
  for (const auto& [user, item] : pairs) {
    ratings.users.push_back(user);
    ratings.items.push_back(item);
  }
  return ratings;
}

std::vector<std::int64_t> make_indices(const Problem& problem, int count, const Ratings* ratings) {
  const std::int64_t total = problem.num_indices() * count;
  if (problem.indices.is_ratings()) {
    const bool is_users = problem.indices.law == IndexLaw::kRatingUsers;
    return take_ids(is_users ? ratings->users : ratings->items, problem.num_rows, total);
  }
  return draw_indices(problem.indices, problem.num_rows, total);
}

std::vector<at::Tensor> make_index_batches(const Problem& problem, int count,
                                           const Ratings* ratings, at::Device device) {
  const std::int64_t num_indices = problem.num_indices();
  const std::vector<std::int64_t> indices = make_indices(problem, count, ratings);
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
