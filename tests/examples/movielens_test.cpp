// Ratings become rows of tables that only the training part has named.
#include "examples/support/movielens.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "examples/support/collab_models.h"
#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::Rating;
using examples::RatingSplit;
using examples::RatingTensors;

// User 100 + i rates film 7 i % 20, which has the title "film" and its number, i / 2 stars.
std::vector<Rating> twenty_ratings() {
  std::vector<Rating> ratings;
  for (std::int64_t i = 0; i < 20; ++i) {
    const std::int64_t film = 7 * i % 20;
    ratings.push_back(
        {100 + i, film + 1, "film " + std::to_string(film), static_cast<float>(i) / 2});
  }
  return ratings;
}

TEST(MovieLens, IsReadWithItsTitles) {
  const TemporaryDirectory directory;
  directory.write("items.csv", "movie_id,title\n7,\"Gattaca, again\"\n3,Fargo\n");
  directory.write("ratings.csv", "user_id,movie_id,rating,timestamp\n5,3,4,0\n9,7,2.5,1\n");
  const std::vector<Rating> ratings = examples::read_movielens(directory.path());
  ASSERT_EQ(ratings.size(), 2U);
  EXPECT_EQ(ratings[0].title, "Fargo");
  EXPECT_EQ(ratings[1].title, "Gattaca, again");
  EXPECT_EQ(ratings[1].user_id, 9);
  EXPECT_EQ(ratings[1].movie_id, 7);
  EXPECT_EQ(ratings[1].stars, 2.5F);
}

TEST(MovieLens, KeepsAFifthForValidationWhoseNewNamesAreRowZero) {
  torch::manual_seed(2);
  const RatingSplit split = examples::split_ratings(twenty_ratings(), 1);
  EXPECT_EQ(split.train.size(), 16);
  EXPECT_EQ(split.valid.size(), 4);
  EXPECT_EQ(split.num_user_rows, 17);
  EXPECT_EQ(split.num_item_rows, 17);
  // Every user rates once, so none of validation is known.
  EXPECT_EQ(split.valid.users.count_nonzero().item<std::int64_t>(), 0);
  EXPECT_EQ(split.valid.items.count_nonzero().item<std::int64_t>(), 0);
  EXPECT_TRUE(std::get<0>(split.train.users.sort()).equal(torch::arange(1, 17)));
  EXPECT_EQ(split.titles[0], "#na#");
  // Rows go by the users' and titles' order.
  const std::set<std::string> sorted(split.titles.begin() + 1, split.titles.end());
  EXPECT_EQ(std::vector<std::string>(sorted.begin(), sorted.end()),
            std::vector<std::string>(split.titles.begin() + 1, split.titles.end()));
  const at::Tensor by_user = split.train.stars.index_select(0, split.train.users.argsort());
  EXPECT_TRUE(std::get<0>(by_user.sort(0)).equal(by_user));
  for (std::int64_t i = 0; i < split.train.size(); ++i) {
    const auto user = std::llround(2 * split.train.stars[i].item<double>());
    const auto item = static_cast<std::size_t>(split.train.items[i].item<std::int64_t>());
    EXPECT_EQ(split.titles[item], "film " + std::to_string(7 * user % 20));
  }
}

TEST(MovieLens, KeepsAFractionOfTheRatings) {
  torch::manual_seed(2);
  const RatingSplit split = examples::split_ratings(twenty_ratings(), 0.5);
  EXPECT_EQ(split.train.size(), 8);
  EXPECT_EQ(split.valid.size(), 2);
}

TEST(MovieLens, PutsAUsersRatingsTogether) {
  const std::vector<Rating> ratings = {
      {2, 5, "", 1}, {1, 6, "", 2}, {2, 7, "", 3}, {9, 8, "", 4}, {1, 9, "", 5}};
  const RatingTensors tensors =
      examples::ratings_by_user(ratings, torch::tensor({4, 2, 1, 0}, at::kLong));
  EXPECT_TRUE(tensors.users.equal(torch::tensor({0, 0, 1, 1}, at::kLong)));
  EXPECT_TRUE(tensors.items.equal(torch::tensor({8, 5, 6, 4}, at::kLong)));
  EXPECT_TRUE(tensors.stars.equal(torch::tensor({{5.F}, {2.F}, {3.F}, {1.F}})));
}

TEST(RatingTensors, SelectAndNarrowRatingsAsAWhole) {
  const at::Tensor ids = torch::arange(4);
  const RatingTensors ratings{ids, ids + 10, ids.unsqueeze(1).to(at::kFloat)};
  const auto expect_ids = [](const RatingTensors& some, const at::Tensor& expected) {
    EXPECT_TRUE(some.users.equal(expected));
    EXPECT_TRUE(some.items.equal(expected + 10));
    EXPECT_TRUE(some.stars.squeeze(1).equal(expected.to(at::kFloat)));
  };
  expect_ids(ratings.select(torch::tensor({3, 1}, at::kLong)), torch::tensor({3, 1}, at::kLong));
  expect_ids(ratings.narrow(1, 2), torch::tensor({1, 2}, at::kLong));
}

TEST(PredictStars, SquashesTheDotProductAndBothBiases) {
  const at::Tensor users = torch::tensor({{1.F, 2.F, 0.5F}}),
                   items = torch::tensor({{3.F, -1.F, 0.25F}});
  EXPECT_NEAR(examples::predict_stars(users, items).item<double>(), 5.5 / (1 + std::exp(-1.75)),
              1e-6);
}

}  // namespace
}  // namespace rowlane::testing
