// Training a vocabulary of 500,000 words, of which a batch names some thousand.
//
// A classifier of texts: the mean of the words' rows, and a linear layer. Written once, and trained
// as torch does, in rows, and fused: support/training_ways.h. The words are drawn by Zipf's law,
// and half of those of a text tell its topic.
//
// All ways take turns at every step. The losses of `rows` and `fused` must be the same to the last
// bit, and for 200 steps those of torch within 1e-6, unless Adam leaves the rows that a batch
// doesn't name as they are.
#include <ATen/ops/cross_entropy_loss.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "support/program.h"
#include "support/topic_texts.h"
#include "support/training_ways.h"

namespace rowlane::examples {
namespace {

struct TableShape {
  std::int64_t num_rows, dim;
};

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
  explicit Classifier(const TableShape& shape)
      : table(make_table<TableT>(shape.num_rows, shape.dim)), layer(shape.dim, kNumTopics) {}

  at::Tensor loss(const TextBatch& batch) {
    return at::cross_entropy_loss(layer(table(batch.words).mean(1)), batch.topics);
  }
  std::vector<TableT> tables() { return {table}; }
  std::vector<at::Tensor> parameters() { return {table->weight, layer->weight, layer->bias}; }

  TableT table;
  torch::nn::Linear layer;
};

int run(const Options& options) {
  apply_common_options(options.common);
  const Task<TableShape, TextBatch> task{.seed = options.common.seed,
                                         .sgd_learning_rate = 5,
                                         .adam_learning_rate = 0.01,
                                         .shape = {options.texts.vocabulary, options.dim},
                                         .batches = draw_texts(options.texts, options.num_steps)};
  std::vector<Way> ways = make_ways<Classifier>(task);
  train(ways, task.batches.size());
  const bool is_good = report(ways);
  write_losses(ways, "Losses of the same model, trained in eight ways", options.common);
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
