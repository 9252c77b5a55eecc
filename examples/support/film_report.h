// What a model has learned about films: which are alike, which are liked, and a map of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collab_models.h"
#include "movielens.h"
#include "record.h"

namespace rowlane::examples {

struct ScoredTitle {
  std::string title;
  double score;
};

// The `count` films whose factors have the largest cosine with those of `title`, itself left out,
// among films with at least `min_ratings` ratings in the training part; the best first.
//
// Throws std::invalid_argument when `title` isn't in the training part, or the model has no
// factors.
std::vector<ScoredTitle> most_similar(const CollabModel& model, const RatingSplit& split,
                                      const std::string& title, std::int64_t count,
                                      std::int64_t min_ratings);

// The `count` films with the largest bias, or with the smallest; the extreme one first.
std::vector<ScoredTitle> ranked_by_bias(const CollabModel& model, const RatingSplit& split,
                                        std::int64_t count, bool is_largest);

// The factors of the `count` films with most ratings along their first two principal components, in
// columns title, component_1, component_2, num_ratings; `num_basis` films with most ratings make
// the components. A component's sign is such that its largest element is positive. Throws
// std::invalid_argument when the model has no factors.
Record film_map(const CollabModel& model, const RatingSplit& split, std::int64_t count,
                std::int64_t num_basis);

// Prints the three lists for `title`.
void print_films(const CollabModel& model, const RatingSplit& split, const std::string& title);

}  // namespace rowlane::examples
