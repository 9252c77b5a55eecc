// Index tensors for a problem, drawn from the law that it asks for.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "workloads/workload.h"

namespace rowlane::bench {

// MovieLens 100K, shuffled with a fixed seed: the ids of ratings[k] are users[k] and items[k].
struct Ratings {
  std::vector<std::int64_t> users;
  std::vector<std::int64_t> items;
};

// Where `make data` puts the ratings, unless the directory is given.
std::filesystem::path ratings_path(const std::filesystem::path& data_dir);

// Reads user_id,movie_id,rating,timestamp. Nothing when the file is missing; throws
// std::runtime_error naming the line when it is malformed.
std::optional<Ratings> load_ratings(const std::filesystem::path& path);

// The indices of `count` batches, one after the other, the same in every run. `ratings` may be null
// unless the problem's indices are ratings.
std::vector<std::int64_t> make_indices(const Problem& problem, int count, const Ratings* ratings);

// `count` different tensors of problem.index_shape and problem.index_dtype on `device`, with
// the indices of make_indices().
std::vector<at::Tensor> make_index_batches(const Problem& problem, int count,
                                           const Ratings* ratings, at::Device device);

}  // namespace rowlane::bench
