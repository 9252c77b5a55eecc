// Training a collaborative filter on MovieLens 100K in the rows that a batch names.
//
// DotProductBias of the fastbook's chapter 8, on batches of 64 ratings: a row of 50 factors and a
// bias for each user and each film, so four tables and nothing else, all in one optimizer. Written
// once, and trained as torch does, in rows, and fused: support/training_ways.h.
//
// All ways take turns at every step. The losses of `rows` and `fused` must be the same to the last
// bit, and for 200 steps those of torch within 1e-6, unless Adam leaves the rows that a batch
// doesn't name as they are. The tables are small, some 2,600 rows of each kind; row_training.cpp
// has a large one.
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/sigmoid.h>
#include <torch/types.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "support/fastai_init.h"
#include "support/movielens.h"
#include "support/program.h"
#include "support/training_ways.h"

namespace rowlane::examples {
namespace {

constexpr std::int64_t kNumFactors = 50, kBatchSize = 64;
// A little above five stars, because a sigmoid never reaches its end.
constexpr double kMostStars = 5.5;

struct Options {
  CommonOptions common{.data_dir = ROWLANE_EXAMPLE_DATA_DIR "/ml-100k", .has_checkpoint = false};
};

struct TableShapes {
  std::int64_t num_users, num_films;
};

// The model. Nothing in it depends on who trains it: TableT is torch::nn::Embedding or
// rowlane::nn::Embedding.
template <typename TableT>
struct DotProductBias {
  explicit DotProductBias(const TableShapes& shapes)
      : user_factors(make_table<TableT>(shapes.num_users, kNumFactors)),
        user_bias(make_table<TableT>(shapes.num_users, 1)),
        film_factors(make_table<TableT>(shapes.num_films, kNumFactors)),
        film_bias(make_table<TableT>(shapes.num_films, 1)) {
    const torch::NoGradGuard no_grad;
    for (const at::Tensor& weight : parameters()) {
      weight.copy_(fastai_table(weight.size(0), weight.size(1)));
    }
  }

  at::Tensor loss(const RatingTensors& batch) {
    const at::Tensor dots =
        (user_factors(batch.users) * film_factors(batch.items)).sum(1, /*keepdim=*/true);
    const at::Tensor sums = dots + user_bias(batch.users) + film_bias(batch.items);
    return at::mse_loss(at::sigmoid(sums) * kMostStars, batch.stars);
  }
  std::vector<TableT> tables() { return {user_factors, user_bias, film_factors, film_bias}; }
  std::vector<at::Tensor> parameters() { return weights_of(tables()); }

  TableT user_factors, user_bias, film_factors, film_bias;
};

// All full batches of so many epochs, each in an order of its own.
std::vector<RatingTensors> draw_batches(const RatingTensors& ratings, int num_epochs) {
  std::vector<RatingTensors> batches;
  for (int epoch = 0; epoch < num_epochs; ++epoch) {
    const RatingTensors shuffled = ratings.select(torch::randperm(ratings.size(), at::kLong));
    for (std::int64_t start = 0; start + kBatchSize <= ratings.size(); start += kBatchSize) {
      batches.push_back(shuffled.narrow(start, kBatchSize));
    }
  }
  return batches;
}

int run(const Options& options) {
  apply_common_options(options.common);
  const RatingSplit split = split_ratings(read_movielens(options.common.data_dir), /*fraction=*/1);
  const Task<TableShapes, RatingTensors> task{
      .seed = options.common.seed,
      .sgd_learning_rate = 2,
      .adam_learning_rate = 5e-3,
      .shape = {split.num_user_rows, split.num_item_rows},
      .batches = draw_batches(split.train, options.common.num_epochs)};
  std::printf("%s users, %s films, %zu steps of %s ratings\n",
              std::to_string(split.num_user_rows).c_str(),
              std::to_string(split.num_item_rows).c_str(), task.batches.size(),
              std::to_string(kBatchSize).c_str());
  std::vector<Way> ways = make_ways<DotProductBias>(task);
  train(ways, task.batches.size());
  const bool is_good = report(ways);
  write_losses(ways, "MovieLens 100K, losses of the same model, trained in eight ways",
               options.common);
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("collab_row_training", [&] {
    rowlane::examples::Options options;
    CLI::App app("A collaborative filter, trained in all rows of its tables and in some.");
    add_common_options(app, options.common);
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
