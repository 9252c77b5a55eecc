// The MovieLens 100K ratings as tensors, split and numbered the way fastai does it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ratings.h"

namespace rowlane::examples {

// Reads the two files that scripts/data/movielens.py writes, in their order. Items go by title, as
// in the fastbook: 18 titles belong to two movie ids.
//
// Throws std::runtime_error, naming the command that gets the data when it is missing, and for what
// ratings.h refuses.
std::vector<Rating> read_movielens(const std::filesystem::path& data_dir);

// Ratings as tensors: entry i says that row users[i] gave row items[i] stars[i] stars.
struct RatingTensors {
  at::Tensor users;  // [num_ratings], int64
  at::Tensor items;  // [num_ratings], int64
  at::Tensor stars;  // [num_ratings, 1], float

  std::int64_t size() const { return users.size(0); }
  RatingTensors select(const at::Tensor& positions) const;
  RatingTensors narrow(std::int64_t start, std::int64_t length) const;
};

// The ratings at `positions`, int64, in tables whose rows are the ids less one. Those of a user
// stand together, users in order of their first rating, as Surprise has them.
RatingTensors ratings_by_user(const std::vector<Rating>& ratings, const at::Tensor& positions);

struct RatingSplit {
  RatingTensors train;
  RatingTensors valid;
  // Rows that the tables need. Row 0 stands for whatever the training part doesn't have.
  std::int64_t num_user_rows;
  std::int64_t num_item_rows;
  // Of each item row; the first is "#na#".
  std::vector<std::string> titles;
};

// Draws a permutation from torch's generator, keeps the leading `fraction` of it, and takes the
// first fifth of that for validation. Users and titles are numbered from 1 in sorted order of those
// in the training part.
RatingSplit split_ratings(const std::vector<Rating>& ratings, double fraction);

}  // namespace rowlane::examples
