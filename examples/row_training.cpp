// Training a vocabulary of 500,000 words, of which a batch names some thousand.
//
// A classifier of texts: the mean of the words' rows, and a linear layer. Written once, and trained
//   torch   as usual: torch::nn::Embedding, whose gradient is as large as the table, and
//           torch::optim, which steps every row;
//   rows    rowlane::nn::Embedding with row gradients and rowlane::optim, which steps the rows that
//           the batch names;
//   fused   the same, stepped inside backward(): there is no gradient of the table at all.
// The words are drawn by Zipf's law, and half of those of a text tell its topic.
//
// All ways take turns at every step. The losses of `rows` and `fused` must be the same to the last
// bit, and those of torch within 1e-6, unless the rows that a batch doesn't name stay as they are.
#include <ATen/ops/cross_entropy_loss.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>
#include <torch/optim/sgd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/memory_probe.h"
#include "benchmarks/timing.h"
#include "rowlane/nn/embedding.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/topic_texts.h"

namespace rowlane::examples {
namespace {

constexpr double kSgdLearningRate = 5, kAdamLearningRate = 0.01;
constexpr double kTolerance = 1e-6;  // relative, of a loss

struct Options {
  CommonOptions common{.num_epochs = 0, .has_checkpoint = false};
  TextShape texts{.vocabulary = 500'000, .num_texts = 256, .num_words = 32};
  std::int64_t dim = 100;
  int num_steps = 60;
};

// The model. Nothing in it depends on who trains it: TableT is torch::nn::Embedding or
// rowlane::nn::Embedding, which draw the same initial values.
template <typename TableT>
struct Classifier {
  explicit Classifier(TableT words)
      : table(std::move(words)), layer(table->weight.size(1), kNumTopics) {}

  at::Tensor loss(const TextBatch& batch) {
    return at::cross_entropy_loss(layer(table(batch.words).mean(1)), batch.topics);
  }
  std::vector<at::Tensor> parameters() { return {table->weight, layer->weight, layer->bias}; }

  TableT table;
  torch::nn::Linear layer;
};

// A model with an optimizer, and what was measured.
struct Way {
  std::string optimizer;
  std::string other_rows;  // what the rows that a batch doesn't name do
  std::string name;
  std::function<double(const TextBatch&)> step;  // returns the loss
  std::function<void()> finish;
  at::Tensor table;
  std::vector<double> ms, losses;  // of the steps
  std::int64_t peak_bytes = 0;
};

// The loop that every user of torch writes.
template <typename ModelT, typename OptimizerT>
std::function<double(const TextBatch&)> training_step(ModelT model, OptimizerT optimizer) {
  return [=](const TextBatch& batch) {
    const at::Tensor loss = model->loss(batch);
    loss.backward();
    optimizer->step();
    optimizer->zero_grad();
    return loss.item<double>();
  };
}

template <typename OptimizerT, typename OptimizerOptions>
Way torch_way(const std::string& name, const OptimizerOptions& settings, const Options& options) {
  torch::manual_seed(options.common.seed);
  const auto model = std::make_shared<Classifier<torch::nn::Embedding>>(
      torch::nn::Embedding(options.texts.vocabulary, options.dim));
  const auto optimizer = std::make_shared<OptimizerT>(model->parameters(), settings);
  return {.optimizer = name,
          .other_rows = "step",
          .name = "torch",
          .step = training_step(model, optimizer),
          .finish = [] {},
          .table = model->table->weight};
}

template <typename OptimizerT, typename OptimizerOptions>
Way rowlane_way(const std::string& name, const OptimizerOptions& settings,
                optim::RowSemantics semantics, bool is_fused, const Options& options) {
  torch::manual_seed(options.common.seed);
  const auto model = std::make_shared<Classifier<nn::Embedding>>(nn::Embedding(
      nn::EmbeddingOptions(options.texts.vocabulary, options.dim).row_gradient(true)));
  // One optimizer for the table and the layer.
  const auto optimizer = std::make_shared<OptimizerT>(model->parameters(), settings,
                                                      optim::RowOptions().semantics(semantics));
  // attach(), too, lets rows catch up before they are read.
  is_fused ? model->table->fuse(*optimizer) : model->table->attach(*optimizer);
  return {.optimizer = name,
          .other_rows = semantics == optim::RowSemantics::kLazy ? "stay" : "catch up",
          .name = is_fused ? "fused" : "rows",
          .step = training_step(model, optimizer),
          .finish = [optimizer] { optimizer->flush(); },  // before the table is read directly
          .table = model->table->weight};
}

// Of each optimizer torch's way comes first; of each kind of Rowlane's, the unfused one.
std::vector<Way> make_ways(const Options& options) {
  using enum optim::RowSemantics;
  const torch::optim::SGDOptions sgd(kSgdLearningRate);
  const torch::optim::AdamOptions adam(kAdamLearningRate);
  std::vector<Way> ways{torch_way<torch::optim::SGD>("SGD", sgd, options)};
  for (const bool is_fused : {false, true}) {
    ways.push_back(rowlane_way<optim::SGD>("SGD", sgd, kLazy, is_fused, options));
  }
  ways.push_back(torch_way<torch::optim::Adam>("Adam", adam, options));
  for (const auto semantics : {kDenseEquivalent, kLazy}) {
    for (const bool is_fused : {false, true}) {
      ways.push_back(rowlane_way<optim::Adam>("Adam", adam, semantics, is_fused, options));
    }
  }
  return ways;
}

// The second step, the first with states of the optimizer, is watched for memory instead of timed.
void train(std::vector<Way>& ways, const std::vector<TextBatch>& batches) {
  ProgressBar bar("training", static_cast<std::int64_t>(batches.size()));
  for (std::size_t step = 0; step < batches.size(); ++step) {
    for (std::size_t turn = 0; turn < ways.size(); ++turn) {
      Way& way = ways[(step + turn) % ways.size()];
      const auto run = [&] { way.losses.push_back(way.step(batches[step])); };
      if (step == 1) {
        way.peak_bytes = bench::measure_peak_bytes(run, at::kCPU);
      } else {
        way.ms.push_back(bench::time_once_ms(run, at::kCPU));
      }
    }
    bar.update(static_cast<std::int64_t>(step) + 1, ways.front().losses.back());
  }
}

// Without the first step, which makes the states.
double median_ms(const Way& way) {
  std::vector<double> sorted(way.ms.begin() + 1, way.ms.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted[sorted.size() / 2];
}

double largest_difference(const Way& way, const Way& reference) {
  double largest = 0;
  for (std::size_t i = 0; i < way.losses.size(); ++i) {
    const double expected = reference.losses[i];
    largest = std::max(largest, std::abs(way.losses[i] - expected) / expected);
  }
  return largest;
}

bool report(const std::vector<Way>& ways) {
  Record table({"optimizer", "way", "other_rows", "ms_per_step", "speed_up", "peak_mb",
                "first_loss", "last_loss", "loss_diff"});
  table.print_header();
  bool is_good = true;
  const Way* theirs = nullptr;
  const Way* unfused = nullptr;
  for (const Way& way : ways) {
    const bool is_torch = way.name == "torch", is_fused = way.name == "fused";
    theirs = is_torch ? &way : theirs;
    unfused = is_fused ? unfused : &way;
    const double difference = largest_difference(way, *theirs);
    table.add({way.optimizer, way.name, way.other_rows, median_ms(way),
               median_ms(*theirs) / median_ms(way), static_cast<double>(way.peak_bytes) / 1e6,
               way.losses.front(), way.losses.back(), difference});
    way.finish();
    const bool is_lazy_adam = way.optimizer == "Adam" && way.other_rows == "stay";
    const bool is_same =
        !is_fused || (way.losses == unfused->losses && at::equal(way.table, unfused->table));
    const bool is_lean =
        is_torch || way.peak_bytes < (is_fused ? unfused->peak_bytes : theirs->peak_bytes / 2);
    const bool has_learned = way.losses.back() < 0.9 * way.losses.front();
    const bool is_equal = is_lazy_adam || difference <= kTolerance;
    if (!is_equal || !is_same || !is_lean || !has_learned) {
      std::printf("  ^ FAILED:%s%s%s%s\n", is_equal ? "" : " losses aren't torch's;",
                  is_same ? "" : " not the bits of the unfused way;",
                  is_lean ? "" : " too much memory;", has_learned ? "" : " nothing was learned;");
      is_good = false;
    }
  }
  return is_good;
}

int run(const Options& options) {
  apply_common_options(options.common);
  const std::vector<TextBatch> batches = draw_texts(options.texts, options.num_steps);
  std::vector<Way> ways = make_ways(options);
  train(ways, batches);
  const bool is_good = report(ways);
  Record losses({"step", "optimizer", "other_rows", "way", "loss"});
  for (const Way& way : ways) {
    for (std::size_t i = 0; i < way.losses.size(); ++i) {
      losses.add(
          {static_cast<std::int64_t>(i), way.optimizer, way.other_rows, way.name, way.losses[i]});
    }
  }
  write_outputs(losses,
                {.title = "Losses of the same model, trained in eight ways",
                 .x = "step",
                 .y = {"loss"},
                 .by = {"optimizer", "other_rows", "way"}},
                options.common);
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("row_training", [&] {
    rowlane::examples::Options options;
    CLI::App app("A classifier of texts, trained in all rows of its table and in some.");
    add_common_options(app, options.common);
    app.add_option("--rows", options.texts.vocabulary, "words of the vocabulary")
        ->check(CLI::Range(10, 100'000'000));
    app.add_option("--dim", options.dim, "elements per row")->check(CLI::PositiveNumber);
    app.add_option("--texts", options.texts.num_texts, "texts of 32 words in a batch")
        ->check(CLI::PositiveNumber);
    app.add_option("--steps", options.num_steps, "batches, each new")->check(CLI::Range(3, 10'000));
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
