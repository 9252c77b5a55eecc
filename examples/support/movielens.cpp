#include "movielens.h"

#include <torch/types.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "program.h"

namespace rowlane::examples {
namespace {

// Numbers the distinct values of `rating.*field` from 1, in sorted order.
template <typename Value>
std::map<Value, std::int64_t> number_values(const std::vector<Rating>& ratings,
                                            std::span<const std::int64_t> positions,
                                            Value Rating::*field) {
  std::map<Value, std::int64_t> numbers;
  for (const std::int64_t position : positions) {
    numbers[ratings[static_cast<std::size_t>(position)].*field] = 0;
  }
  std::int64_t next = 1;
  for (auto& [value, number] : numbers) {
    number = next++;
  }
  return numbers;
}

template <typename Value>
std::int64_t number_of(const std::map<Value, std::int64_t>& numbers, const Value& value) {
  const auto found = numbers.find(value);
  return found == numbers.end() ? 0 : found->second;
}

}  // namespace

std::vector<Rating> read_movielens(const std::filesystem::path& data_dir) {
  require_data("MovieLens ratings", data_dir, {"ratings.csv", "items.csv"});
  return read_ratings(data_dir / "ratings.csv", data_dir / "items.csv");
}

RatingTensors RatingTensors::select(const at::Tensor& positions) const {
  return {users.index_select(0, positions), items.index_select(0, positions),
          stars.index_select(0, positions)};
}

RatingTensors RatingTensors::narrow(std::int64_t start, std::int64_t length) const {
  return {users.narrow(0, start, length), items.narrow(0, start, length),
          stars.narrow(0, start, length)};
}

RatingTensors ratings_by_user(const std::vector<Rating>& ratings, const at::Tensor& positions) {
  std::vector<Rating> ordered;
  std::map<std::int64_t, std::size_t> first_place;  // of each user
  for (const std::int64_t position : std::span(positions.const_data_ptr<std::int64_t>(),
                                               static_cast<std::size_t>(positions.numel()))) {
    ordered.push_back(ratings[static_cast<std::size_t>(position)]);
    first_place.emplace(ordered.back().user_id, ordered.size());
  }
  std::stable_sort(ordered.begin(), ordered.end(), [&](const Rating& a, const Rating& b) {
    return first_place[a.user_id] < first_place[b.user_id];
  });
  std::vector<std::int64_t> users, items;
  std::vector<float> stars;
  for (const Rating& rating : ordered) {
    users.push_back(rating.user_id - 1);
    items.push_back(rating.movie_id - 1);
    stars.push_back(rating.stars);
  }
  return {torch::tensor(users), torch::tensor(items), torch::tensor(stars).unsqueeze(1)};
}

RatingSplit split_ratings(const std::vector<Rating>& ratings, double fraction) {
  const auto num_ratings = static_cast<std::int64_t>(ratings.size());
  const at::Tensor permutation = torch::randperm(num_ratings, at::kLong);
  const auto num_kept = static_cast<std::size_t>(fraction * static_cast<double>(num_ratings));
  const std::span<const std::int64_t> kept(permutation.const_data_ptr<std::int64_t>(), num_kept);
  const auto valid_positions = kept.first(num_kept / 5);
  const auto train_positions = kept.subspan(num_kept / 5);

  const auto user_numbers = number_values(ratings, train_positions, &Rating::user_id);
  const auto title_numbers = number_values(ratings, train_positions, &Rating::title);
  const auto to_tensors = [&](std::span<const std::int64_t> positions) {
    std::vector<std::int64_t> users;
    std::vector<std::int64_t> items;
    std::vector<float> stars;
    for (const std::int64_t position : positions) {
      const Rating& rating = ratings[static_cast<std::size_t>(position)];
      users.push_back(number_of(user_numbers, rating.user_id));
      items.push_back(number_of(title_numbers, rating.title));
      stars.push_back(rating.stars);
    }
    return RatingTensors{torch::tensor(users), torch::tensor(items),
                         torch::tensor(stars).unsqueeze(1)};
  };
  std::vector<std::string> titles = {"#na#"};
  for (const auto& [title, number] : title_numbers) {
    titles.push_back(title);
  }
  return {to_tensors(train_positions), to_tensors(valid_positions),
          static_cast<std::int64_t>(user_numbers.size()) + 1,
          static_cast<std::int64_t>(title_numbers.size()) + 1, std::move(titles)};
}

}  // namespace rowlane::examples
