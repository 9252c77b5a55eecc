// Which films are alike, on factors that were made up.
#include "examples/support/film_report.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace rowlane::examples {
namespace {

class MadeUpModel final : public CollabModel {
 public:
  MadeUpModel(at::Tensor factors, at::Tensor bias) : factors_(factors), bias_(bias) {}

  at::Tensor forward(const at::Tensor& users, const at::Tensor& /*items*/) override {
    return users;
  }
  at::Tensor item_factors() const override { return factors_; }
  at::Tensor item_bias() const override { return bias_; }

 private:
  at::Tensor factors_, bias_;
};

// Row 0 is no film. "twin" points the way of "first" at another length, "rare" does so exactly,
// too, but has one rating; "opposite" points away.
struct Films {
  RatingSplit split;
  MadeUpModel model{torch::tensor({{9.F, 9.F}, {1.F, 0.F}, {5.F, 1.F}, {2.F, 0.F}, {-3.F, 0.F}}),
                    torch::tensor({9.F, 0.2F, -0.5F, 0.4F, 0.1F}).unsqueeze(1)};

  Films() {
    split.train.items = torch::tensor({1, 1, 1, 2, 2, 3, 4, 4, 4, 4}, at::kLong);
    split.num_item_rows = 5;
    split.titles = {"#na#", "first", "twin", "rare", "opposite"};
  }
};

std::vector<std::string> titles_of(const std::vector<ScoredTitle>& scored) {
  std::vector<std::string> titles;
  for (const ScoredTitle& entry : scored) {
    titles.push_back(entry.title);
  }
  return titles;
}

TEST(FilmReportTest, MostSimilarLeavesOutItselfAndRareFilms) {
  const Films films;
  const auto similar = most_similar(films.model, films.split, "first", 2, /*min_ratings=*/2);
  EXPECT_EQ(titles_of(similar), (std::vector<std::string>{"twin", "opposite"}));
  EXPECT_NEAR(similar[0].score, 5 / std::sqrt(26), 1e-6);
  EXPECT_NEAR(similar[1].score, -1, 1e-6);
  EXPECT_EQ(most_similar(films.model, films.split, "first", 1, 1).front().title, "rare");
}

TEST(FilmReportTest, NamesATitleThatIsUnknown) {
  const Films films;
  try {
    most_similar(films.model, films.split, "third", 1, 1);
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "no film of the training part is called 'third'");
  }
}

TEST(FilmReportTest, RanksByBiasWithoutTheRowOfUnknownFilms) {
  const Films films;
  EXPECT_EQ(titles_of(ranked_by_bias(films.model, films.split, 2, /*is_largest=*/true)),
            (std::vector<std::string>{"rare", "first"}));
  EXPECT_EQ(titles_of(ranked_by_bias(films.model, films.split, 1, /*is_largest=*/false)),
            (std::vector<std::string>{"twin"}));
}

TEST(FilmReportTest, MapsAlongPrincipalComponents) {
  // The films differ along (1, 1) by 4 and along (1, -1) by 1, about the mean (1, 1).
  const double s = std::sqrt(0.5);
  const at::Tensor factors = torch::tensor({0.0, 0.0, 1 + 4 * s, 1 + 4 * s, 1 - 4 * s, 1 - 4 * s,
                                            1 + s, 1 - s, 1 - s, 1 + s})
                                 .view({5, 2});
  const MadeUpModel model(factors, {});
  const Record map = film_map(model, Films().split, 4, 4);
  ASSERT_EQ(map.rows().size(), 4U);
  // Most ratings first.
  EXPECT_EQ(std::get<std::string>(map.rows()[0][0]), "opposite");
  EXPECT_EQ(std::get<std::string>(map.rows()[1][0]), "first");
  EXPECT_NEAR(std::get<double>(map.rows()[1][1]), 4, 1e-6);
  EXPECT_NEAR(std::get<double>(map.rows()[1][2]), 0, 1e-6);
  EXPECT_NEAR(std::abs(std::get<double>(map.rows()[0][2])), 1, 1e-6);
  EXPECT_EQ(std::get<std::int64_t>(map.rows()[1][3]), 3);
  // A component's largest element is positive, whatever way the decomposition turns it.
  const Record mirrored = film_map(MadeUpModel(-factors, {}), Films().split, 4, 4);
  EXPECT_NEAR(std::get<double>(mirrored.rows()[1][1]), -4, 1e-6);
}

TEST(FilmReportTest, SaysThatAModelHasNoFactors) {
  const MadeUpModel model({}, {});
  EXPECT_THROW(film_map(model, Films().split, 1, 1), std::invalid_argument);
}

}  // namespace
}  // namespace rowlane::examples
