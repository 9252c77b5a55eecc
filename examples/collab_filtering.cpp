// Collaborative filtering on MovieLens 100K: learns from 80,000 ratings to predict 20,000 others.
//
// This is DotProductBias, the model of chapter 8 of the fastbook (Howard and Gugger, "Deep Learning
// for Coders with fastai and PyTorch"): a user and a film each have a row of 50 learned factors and
// a bias; the predicted rating is the dot product of the rows plus the biases, squeezed into the
// range of the stars. Split, initial values, optimizer and schedule are the chapter's, so that the
// losses compare with those printed there. As in the chapter, the tables are embedding modules or
// bare parameters that are indexed; with the same seed both reach the same losses.
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "rowlane/nn/embedding.h"
#include "support/fastai_adam.h"
#include "support/loss_curve.h"
#include "support/movielens.h"
#include "support/one_cycle.h"
#include "support/progress.h"

namespace rowlane::examples {
namespace {

using rowlane::nn::Embedding;
using rowlane::nn::EmbeddingFromPretrainedOptions;

// Validation MSE after each epoch, as printed in the chapter for a weight decay of 0.1.
constexpr std::array kPublishedMse = {0.9624, 0.8851, 0.8399, 0.8232, 0.8231};
constexpr std::int64_t kNumFactors = 50;
constexpr double kMaxLearningRate = 5e-3;
// On all four tables: fastai spares the biases of layers, but a table of biases isn't one.
constexpr double kWeightDecay = 0.1;
// Both models add the same numbers in the same order; this is for compilers that contract.
constexpr double kSameMse = 1e-6;

struct Options {
  std::filesystem::path data_dir = ROWLANE_EXAMPLE_DATA_DIR "/ml-100k";
  std::string model = "modules";
  std::uint64_t seed = 0;
  int num_seeds = 1;
  int num_epochs = 5;
  std::int64_t batch_size = 64;
  double fraction = 1;
  int num_threads = 1;
  std::string csv_path;
  std::vector<double> expected_mse;

  bool is_as_published() const { return num_epochs == 5 && batch_size == 64 && fraction == 1; }
};

// ---- The model ----

// A table drawn from N(0, 0.01^2); like fastai, it wraps what is beyond two deviations.
at::Tensor new_table(std::int64_t num_rows, std::int64_t dim) {
  return torch::empty({num_rows, dim}).normal_().fmod_(2).mul_(0.01);
}

at::Tensor sigmoid_range(const at::Tensor& x, double low, double high) {
  return at::sigmoid(x) * (high - low) + low;
}

class Model : public torch::nn::Module {
 public:
  // users, items [batch], numbers of rows; returns the predicted stars [batch, 1].
  virtual at::Tensor forward(const at::Tensor& users, const at::Tensor& items) = 0;
};

class ModuleModel final : public Model {
 public:
  ModuleModel(std::int64_t num_users, std::int64_t num_items) {
    user_factors_ = register_module("user_factors", new_embedding(num_users, kNumFactors));
    user_bias_ = register_module("user_bias", new_embedding(num_users, 1));
    item_factors_ = register_module("item_factors", new_embedding(num_items, kNumFactors));
    item_bias_ = register_module("item_bias", new_embedding(num_items, 1));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    const at::Tensor dots = (user_factors_(users) * item_factors_(items)).sum(1, /*keepdim=*/true);
    return sigmoid_range(dots + user_bias_(users) + item_bias_(items), 0, 5.5);
  }

 private:
  static Embedding new_embedding(std::int64_t num_rows, std::int64_t dim) {
    return Embedding::from_pretrained(new_table(num_rows, dim),
                                      EmbeddingFromPretrainedOptions().freeze(false));
  }

  Embedding user_factors_{nullptr}, user_bias_{nullptr};
  Embedding item_factors_{nullptr}, item_bias_{nullptr};
};

class ParameterModel final : public Model {
 public:
  ParameterModel(std::int64_t num_users, std::int64_t num_items) {
    user_factors_ = register_parameter("user_factors", new_table(num_users, kNumFactors));
    user_bias_ = register_parameter("user_bias", new_table(num_users, 1));
    item_factors_ = register_parameter("item_factors", new_table(num_items, kNumFactors));
    item_bias_ = register_parameter("item_bias", new_table(num_items, 1));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    const at::Tensor dots =
        (user_factors_.index({users}) * item_factors_.index({items})).sum(1, /*keepdim=*/true);
    return sigmoid_range(dots + user_bias_.index({users}) + item_bias_.index({items}), 0, 5.5);
  }

 private:
  at::Tensor user_factors_, user_bias_, item_factors_, item_bias_;
};

// ---- Training ----

// Returns the mean loss of the batches.
double train_epoch(Model& model, FastaiAdam& optimizer, const RatingTensors& ratings, int epoch,
                   const Options& options) {
  const std::int64_t num_batches = ratings.size() / options.batch_size;  // full ones only
  const RatingTensors shuffled = ratings.select(torch::randperm(ratings.size(), at::kLong));
  ProgressBar bar("epoch " + std::to_string(epoch + 1), num_batches);
  double total_mse = 0;
  for (std::int64_t step = 0; step < num_batches; ++step) {
    const double part_of_epoch = static_cast<double>(step) / static_cast<double>(num_batches);
    const OneCyclePoint now =
        one_cycle((epoch + part_of_epoch) / options.num_epochs, kMaxLearningRate);
    const RatingTensors batch = shuffled.narrow(step * options.batch_size, options.batch_size);
    const at::Tensor mse = at::mse_loss(model.forward(batch.users, batch.items), batch.stars);
    optimizer.zero_grad();
    mse.backward();
    optimizer.step(now.learning_rate, now.beta1);
    total_mse += mse.item<double>();
    bar.update(step + 1);
  }
  return total_mse / static_cast<double>(num_batches);
}

double validate(Model& model, const RatingTensors& ratings) {
  const torch::NoGradGuard no_grad;
  return at::mse_loss(model.forward(ratings.users, ratings.items), ratings.stars).item<double>();
}

// Splits, initialises and trains; everything random comes from `seed`, whatever the model.
template <typename ModelT>
LossCurve train(const std::string& name, const std::vector<Rating>& ratings, std::uint64_t seed,
                const Options& options) {
  torch::manual_seed(seed);
  const RatingSplit split = split_ratings(ratings, options.fraction);
  if (split.train.size() < options.batch_size) {
    throw std::runtime_error("not a single batch: raise --fraction or lower --batch-size");
  }
  ModelT model(split.num_user_rows, split.num_item_rows);
  FastaiAdam optimizer(model.parameters(), kWeightDecay);
  LossCurve curve{name, seed, {}};
  print_heading(curve);
  for (int epoch = 0; epoch < options.num_epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    const double train_mse = train_epoch(model, optimizer, split.train, epoch, options);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    curve.epochs.push_back({train_mse, validate(model, split.valid), seconds.count()});
    print_epoch(curve,
                options.is_as_published() ? std::optional(kPublishedMse[epoch]) : std::nullopt);
  }
  return curve;
}

// Trains with every seed; returns whether all that was asked for held.
bool run(const Options& options) {
  torch::set_num_threads(options.num_threads);
  const std::vector<Rating> ratings = read_movielens(options.data_dir);
  std::vector<LossCurve> curves;
  double mean_mse = 0;
  bool is_good = true;
  for (int i = 0; i < options.num_seeds; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    if (options.model != "parameters") {
      curves.push_back(train<ModuleModel>("modules", ratings, seed, options));
    }
    if (options.model != "modules") {
      curves.push_back(train<ParameterModel>("parameters", ratings, seed, options));
    }
    if (options.model == "both") {
      const double difference = largest_difference(curves.rbegin()[1], curves.back());
      is_good = is_good && difference <= kSameMse;
      std::printf("largest difference between modules and parameters: %.2g: %s\n", difference,
                  difference <= kSameMse ? "ok" : "FAIL");
    }
    mean_mse += curves.back().epochs.back().valid_mse / options.num_seeds;
  }

  std::printf("\nfinal validation MSE, mean over %d seed%s: %.4f", options.num_seeds,
              options.num_seeds == 1 ? "" : "s", mean_mse);
  if (options.is_as_published()) {
    const double band = options.num_seeds < 3 ? 0.02 : 0.012;
    std::printf(", %s 0.823 ± %g", std::abs(mean_mse - 0.823) <= band ? "within" : "OUTSIDE", band);
  }
  std::printf("\n");
  if (options.expected_mse.size() == 2) {
    const double low = options.expected_mse[0], high = options.expected_mse[1];
    const bool is_expected = low <= mean_mse && mean_mse <= high;
    is_good = is_good && is_expected;
    std::printf("expected between %g and %g: %s\n", low, high, is_expected ? "ok" : "FAIL");
  }
  if (!options.csv_path.empty()) {
    write_csv(options.csv_path, curves);
  }
  return is_good;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  try {
    rowlane::examples::Options options;
    CLI::App app("Trains the fastbook's DotProductBias on MovieLens 100K and prints its losses.");
    app.option_defaults()->always_capture_default();
    app.add_option("--model", options.model, "what the tables are: modules, parameters or both")
        ->check(CLI::IsMember({"modules", "parameters", "both"}));
    app.add_option("--seed", options.seed, "seed of the split, the initial values and the order");
    app.add_option("--seeds", options.num_seeds, "train with so many seeds, from --seed upwards")
        ->check(CLI::PositiveNumber);
    app.add_option("--epochs", options.num_epochs, "epochs")->check(CLI::PositiveNumber);
    app.add_option("--batch-size", options.batch_size, "ratings per step")
        ->check(CLI::PositiveNumber);
    app.add_option("--fraction", options.fraction, "part of the ratings to use")
        ->check(CLI::Range(0.001, 1.0));
    app.add_option("--threads", options.num_threads, "CPU threads")->check(CLI::PositiveNumber);
    app.add_option("--data-dir", options.data_dir, "folder of ratings.csv and items.csv");
    app.add_option("--csv", options.csv_path, "write all losses to this file");
    app.add_option("--expect-mse", options.expected_mse, "LO,HI: fail if the final MSE is outside")
        ->delimiter(',')
        ->expected(2);
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "collab_filtering: %s\n", error.what());
    return 1;
  }
}
