#include "film_report.h"

#include <torch/types.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <tuple>

#include "top_rows.h"

namespace rowlane::examples {
namespace {

// [num_items] ratings in the training part.
at::Tensor num_ratings_of(const RatingSplit& split) {
  return at::bincount(split.train.items, {}, split.num_item_rows);
}

at::Tensor factors_of(const CollabModel& model) {
  at::Tensor factors = model.item_factors();
  if (!factors.defined()) {
    throw std::invalid_argument("this model has no factors of films to compare");
  }
  return factors;
}

std::vector<ScoredTitle> top(const RatingSplit& split, const at::Tensor& scores, std::int64_t count,
                             bool is_largest) {
  std::vector<ScoredTitle> titles;
  for (const ScoredRow& scored : top_rows("films' scores", scores, count, is_largest)) {
    titles.push_back({split.titles[static_cast<std::size_t>(scored.row)], scored.score});
  }
  return titles;
}

void print(const char* heading, const std::vector<ScoredTitle>& titles) {
  std::printf("\n%s\n", heading);
  for (const ScoredTitle& entry : titles) {
    std::printf("  %7.3f  %s\n", entry.score, entry.title.c_str());
  }
}

}  // namespace

std::vector<ScoredTitle> most_similar(const CollabModel& model, const RatingSplit& split,
                                      const std::string& title, std::int64_t count,
                                      std::int64_t min_ratings) {
  const auto found = std::find(split.titles.begin() + 1, split.titles.end(), title);
  if (found == split.titles.end()) {
    throw std::invalid_argument("no film of the training part is called '" + title + "'");
  }
  const torch::NoGradGuard no_grad;
  const at::Tensor factors = factors_of(model);
  const std::int64_t row = std::distance(split.titles.begin(), found);
  at::Tensor cosines = at::cosine_similarity(factors, factors[row].unsqueeze(0), 1);
  cosines.masked_fill_(num_ratings_of(split) < min_ratings, -1);
  cosines[row] = -1;
  return top(split, cosines, count, /*is_largest=*/true);
}

std::vector<ScoredTitle> ranked_by_bias(const CollabModel& model, const RatingSplit& split,
                                        std::int64_t count, bool is_largest) {
  const torch::NoGradGuard no_grad;
  at::Tensor biases = model.item_bias().squeeze(1).clone();
  biases[0] = 0;  // no film
  return top(split, biases, count, is_largest);
}

Record film_map(const CollabModel& model, const RatingSplit& split, std::int64_t count,
                std::int64_t num_basis) {
  const torch::NoGradGuard no_grad;
  at::Tensor num_ratings = num_ratings_of(split);
  num_ratings[0] = 0;
  const at::Tensor rows =
      num_ratings.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/true).narrow(0, 0, num_basis);
  const at::Tensor factors = factors_of(model).index_select(0, rows);
  const at::Tensor centred = factors - factors.mean(0, /*keepdim=*/true);
  at::Tensor components =
      std::get<2>(at::linalg_svd(centred, /*full_matrices=*/false)).narrow(0, 0, 2);
  const at::Tensor largest = components.gather(1, components.abs().argmax(1, /*keepdim=*/true));
  components = components * largest.sign();
  const at::Tensor places = centred.matmul(components.t());

  Record record({"title", "component_1", "component_2", "num_ratings"});
  for (std::int64_t i = 0; i < std::min(count, num_basis); ++i) {
    const auto row = rows[i].item<std::int64_t>();
    record.add({split.titles[static_cast<std::size_t>(row)], places[i][0].item<double>(),
                places[i][1].item<double>(), num_ratings[row].item<std::int64_t>()});
  }
  return record;
}

void print_films(const CollabModel& model, const RatingSplit& split, const std::string& title) {
  constexpr std::int64_t kCount = 5;
  constexpr std::int64_t kMinRatings = 20;
  print(("most similar to " + title + ", by cosine (20 ratings or more)").c_str(),
        most_similar(model, split, title, kCount, kMinRatings));
  if (model.item_bias().defined()) {
    print("smallest bias", ranked_by_bias(model, split, kCount, /*is_largest=*/false));
    print("largest bias", ranked_by_bias(model, split, kCount, /*is_largest=*/true));
  }
}

}  // namespace rowlane::examples
