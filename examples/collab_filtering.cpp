// Collaborative filtering on MovieLens 100K: learns from 80,000 ratings to predict 20,000 others.
//
// Trains the models of chapter 8 of the fastbook (Howard and Gugger, "Deep Learning for Coders with
// fastai and PyTorch"), from a dot product of two looked-up rows to a small network, and prints
// their losses beside those of the chapter. Split, initial values, optimizer and schedule are the
// chapter's. The models are in support/collab_models.cpp; --similar-to and --map show what one has
// learned about films.
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/checkpoint.h"
#include "support/collab_models.h"
#include "support/fastai_adam.h"
#include "support/film_report.h"
#include "support/movielens.h"
#include "support/one_cycle.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/summary.h"

namespace rowlane::examples {
namespace {

constexpr double kMaxLearningRate = 5e-3;
constexpr std::int64_t kBatchSize = 64;

struct Options {
  CommonOptions common{.data_dir = ROWLANE_EXAMPLE_DATA_DIR "/ml-100k"};
  std::vector<std::string> models = {"bias-decay"};
  int num_seeds = 1;
  double fraction = 1;
  std::string similar_to;
  std::filesystem::path map_path;
  std::vector<double> expected_mse;
  bool must_agree = false;

  bool is_as_published() const { return common.num_epochs == 5 && fraction == 1 && !common.resume; }
};

struct EpochLosses {
  double train;
  double valid;
  bool operator==(const EpochLosses&) const = default;  // to the last bit
};

struct Training {
  RatingSplit split;
  std::shared_ptr<CollabModel> model;
  std::vector<EpochLosses> epochs;
};

// Returns the mean loss of the batches.
double train_epoch(CollabModel& model, FastaiAdam& optimizer, const RatingTensors& ratings,
                   std::int64_t epoch, const Options& options) {
  model.train();
  const std::int64_t num_batches = ratings.size() / kBatchSize;  // full ones only
  const RatingTensors shuffled = ratings.select(torch::randperm(ratings.size(), at::kLong));
  ProgressBar bar("epoch " + std::to_string(epoch + 1), num_batches);
  double total_mse = 0;
  for (std::int64_t step = 0; step < num_batches; ++step) {
    const double part_of_epoch = static_cast<double>(step) / static_cast<double>(num_batches);
    const OneCyclePoint now = one_cycle(
        (static_cast<double>(epoch) + part_of_epoch) / options.common.num_epochs, kMaxLearningRate);
    const RatingTensors batch = shuffled.narrow(step * kBatchSize, kBatchSize);
    const at::Tensor mse = at::mse_loss(model.forward(batch.users, batch.items), batch.stars);
    optimizer.zero_grad();
    mse.backward();
    optimizer.step(now.learning_rate, now.beta1);
    total_mse += mse.item<double>();
    bar.update(step + 1, total_mse / static_cast<double>(step + 1));
  }
  return total_mse / static_cast<double>(num_batches);
}

double validate(CollabModel& model, const RatingTensors& ratings) {
  model.eval();
  const torch::NoGradGuard no_grad;
  return at::mse_loss(model.forward(ratings.users, ratings.items), ratings.stars).item<double>();
}

// Splits, initialises and trains; everything random comes from `seed`, whatever the model.
Training train(const CollabRecipe& recipe, const std::vector<Rating>& ratings, std::uint64_t seed,
               const Options& options, Record& record) {
  torch::manual_seed(seed);
  Training training{split_ratings(ratings, options.fraction), nullptr, {}};
  const RatingSplit& split = training.split;
  if (split.train.size() < kBatchSize) {
    throw std::runtime_error("not a single batch: raise --fraction");
  }
  training.model = recipe.make(split.num_user_rows, split.num_item_rows);
  FastaiAdam optimizer(*training.model, recipe.weight_decay);
  std::printf("\n%s (%s), seed %s\n", recipe.name.c_str(), recipe.description.c_str(),
              std::to_string(seed).c_str());
  record.print_header({"model", "seed"});
  const bool has_published = options.is_as_published() && !recipe.published_mse.empty();
  const auto judge_epoch = [&](std::int64_t epoch, double train_mse, double seconds) {
    const double valid_mse = validate(*training.model, split.valid);
    training.epochs.push_back({train_mse, valid_mse});
    record.add({recipe.name, static_cast<std::int64_t>(seed), epoch, train_mse, valid_mse,
                has_published ? recipe.published_mse[static_cast<std::size_t>(epoch - 1)] : NAN,
                seconds});
  };
  const std::int64_t first_epoch = resume_training(options.common, *training.model, optimizer);
  if (first_epoch >= options.common.num_epochs) {
    judge_epoch(first_epoch, NAN, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < options.common.num_epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    const double train_mse = train_epoch(*training.model, optimizer, split.train, epoch, options);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    keep_training(options.common, *training.model, optimizer, epoch + 1);
    judge_epoch(epoch + 1, train_mse, seconds.count());
  }
  return training;
}

// Prints the mean and spread of the final losses; returns whether they are what was asked for.
bool judge(const CollabRecipe& recipe, const std::vector<Training>& trainings,
           const Options& options) {
  std::vector<double> firsts, lasts;
  for (const Training& training : trainings) {
    firsts.push_back(training.epochs.front().valid);
    lasts.push_back(training.epochs.back().valid);
  }
  const double first_mean = spread_of(firsts).mean;
  const auto [mean, deviation, least, most] = spread_of(lasts);
  std::printf("%-19s final validation MSE %.4f, mean of %zu (%.4f to %.4f)", recipe.name.c_str(),
              mean, trainings.size(), least, most);
  bool is_good = true;
  if (options.is_as_published() && !recipe.published_mse.empty()) {
    // A single seed is this far off, after the first epoch more.
    const double band = trainings.size() < 5 ? 0.02 : 0.012;
    is_good = std::abs(mean - recipe.published_mse.back()) <= band &&
              std::abs(first_mean - recipe.published_mse.front()) <= 2 * band;
    std::printf(", published %.4f: %s +- %g", recipe.published_mse.back(),
                is_good ? "within" : "OUTSIDE", band);
  }
  if (recipe.name == "bias" && options.is_as_published()) {
    // With little weight decay it learns the training part by heart.
    const std::vector<EpochLosses>& epochs = trainings.front().epochs;
    const bool overfits = epochs.back().train < 0.4 && epochs.back().valid > epochs[1].valid + 0.01;
    std::printf(", %s", overfits ? "overfits as published" : "DOES NOT OVERFIT");
    is_good = is_good && overfits;
  }
  std::printf("\n");
  if (options.expected_mse.size() == 2) {
    const double low = options.expected_mse[0], high = options.expected_mse[1];
    const bool is_expected = low <= mean && mean <= high;
    std::printf("expected between %g and %g: %s\n", low, high, is_expected ? "ok" : "FAIL");
    is_good = is_good && is_expected;
  }
  return is_good;
}

int run(const Options& options) {
  apply_common_options(options.common);
  require_one_training(options.common, options.models.size() == 1 && options.num_seeds == 1,
                       "one of --models and one seed");
  const std::vector<Rating> ratings = read_movielens(options.common.data_dir);
  Record record({"model", "seed", "epoch", "train_mse", "valid_mse", "published_mse", "seconds"});
  std::vector<std::vector<Training>> trainings;
  for (const std::string& name : options.models) {
    trainings.emplace_back();
    for (int i = 0; i < options.num_seeds; ++i) {
      const std::uint64_t seed = options.common.seed + static_cast<std::uint64_t>(i);
      trainings.back().push_back(train(find_collab_recipe(name), ratings, seed, options, record));
    }
  }
  bool is_good = true;
  std::printf("\n");
  for (std::size_t i = 0; i < trainings.size(); ++i) {
    is_good = judge(find_collab_recipe(options.models[i]), trainings[i], options) && is_good;
  }
  if (options.must_agree) {
    const bool is_same =
        std::equal(trainings.front().begin(), trainings.front().end(), trainings.back().begin(),
                   [](const Training& a, const Training& b) { return a.epochs == b.epochs; });
    std::printf("%s and %s: %s\n", options.models.front().c_str(), options.models.back().c_str(),
                is_same ? "the same losses to the last bit" : "DIFFERENT losses");
    is_good = is_good && is_same;
  }

  write_outputs(record,
                {.title = "MovieLens 100K, validation MSE",
                 .x = "epoch",
                 .y = {"valid_mse"},
                 .by = {"model"}},
                options.common);
  const Training& last = trainings.back().back();
  if (!options.map_path.empty()) {
    CommonOptions outputs;
    outputs.plot_path = options.map_path;
    write_outputs(film_map(*last.model, last.split, 50, 1000),
                  {.title = "The films with most ratings, by two principal components",
                   .x = "component_1",
                   .y = {"component_2"},
                   .has_points = true,
                   .label_column = "title"},
                  outputs);
  }
  if (!options.similar_to.empty()) {
    print_films(*last.model, last.split, options.similar_to);
  }
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("collab_filtering", [&] {
    rowlane::examples::Options options;
    CLI::App app("Trains the fastbook's collaborative filters on MovieLens 100K.");
    add_common_options(app, options.common);
    app.add_option(
           "--models", options.models,
           "which, by commas: dot-product, dot-product-range, bias, bias-decay, parameters, "
           "learner, nn, learner-nn, bias-decay-indexed")
        ->delimiter(',');
    app.add_option("--seeds", options.num_seeds, "train with so many seeds, from --seed upwards")
        ->check(CLI::PositiveNumber);
    app.add_option("--fraction", options.fraction, "part of the ratings to use")
        ->check(CLI::Range(0.001, 1.0));
    app.add_option("--similar-to", options.similar_to, "list the films most similar to this title");
    app.add_option("--map", options.map_path, "draw a map of the films with most ratings")
        ->type_name("PNG");
    app.add_option("--expect-mse", options.expected_mse, "LO,HI: fail if the final MSE is outside")
        ->delimiter(',')
        ->expected(2);
    app.add_flag("--must-agree", options.must_agree,
                 "fail unless the first and the last model have the same losses");
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
