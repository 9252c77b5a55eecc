// A small causal language model on real text, whose input is the sum of two look-ups: a row for
// each word and one for each position. The table of words is the output layer, too (tied weights):
// its gradient is the sum of a look-up's and a matrix product's.
//
// Beside it is what people ask for in forums: a Linear on the position as a number in place of a
// table. And the time of the look-ups, forward and backward, is measured beside torch's embedding.
#include <ATen/Functions.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "rowlane/nn/embedding.h"
#include "support/causal_block.h"
#include "support/checkpoint.h"
#include "support/corpus.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/text_sequences.h"

namespace rowlane::examples {
namespace {

struct Options {
  CommonOptions common{.num_epochs = 3};
  std::vector<std::string> positions = {"table", "linear"};
  std::int64_t steps_per_epoch = 100;
  std::int64_t num_words = 30'000;
  std::int64_t length = 128;
  std::int64_t batch_size = 4;
  std::int64_t dim = 128;
  std::int64_t num_heads = 4;
  std::int64_t num_layers = 2;
  double learning_rate = 1e-3;
  double least_fall = 0;
};

// ---- The model ----

struct LanguageModel : torch::nn::Module {
  LanguageModel(const Options& options, bool has_position_table) {
    words = register_module("words", nn::Embedding(options.num_words, options.dim));
    if (has_position_table) {
      positions = register_module("positions", nn::Embedding(options.length, options.dim));
    } else {
      position_line = register_module("position_line", torch::nn::Linear(1, options.dim));
    }
    for (std::int64_t i = 0; i < options.num_layers; ++i) {
      blocks->push_back(CausalBlock(options.dim, options.num_heads));
    }
    register_module("blocks", blocks);
    norm =
        register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.dim})));
    const torch::NoGradGuard no_grad;
    for (auto& parameter : named_parameters()) {
      if (parameter.value().dim() == 2) {
        parameter.value().normal_(0, 0.02);
      }
    }
  }

  // tokens [B, L]; returns scores of the words that may follow each, [B, L, num_words].
  at::Tensor forward(const at::Tensor& tokens) {
    const at::Tensor places = torch::arange(tokens.size(1));
    const at::Tensor place_rows =
        positions ? positions(places)
                  : position_line(places.unsqueeze(1).to(at::kFloat).div(tokens.size(1)));
    at::Tensor x = at::add(words(tokens), place_rows);  // the same places in each sequence
    for (const auto& block : *blocks) {
      x = block->as<CausalBlock>()->forward(x);
    }
    return at::linear(norm(x), words->weight);
  }

  nn::Embedding words{nullptr}, positions{nullptr};
  torch::nn::Linear position_line{nullptr};
  torch::nn::ModuleList blocks;
  torch::nn::LayerNorm norm{nullptr};
};

// ---- Training ----

at::Tensor loss_of(LanguageModel& model, const at::Tensor& sequences) {
  const std::int64_t length = sequences.size(1) - 1;
  const at::Tensor scores = model.forward(sequences.narrow(1, 0, length));
  return at::cross_entropy_loss(scores.flatten(0, 1), sequences.narrow(1, 1, length).flatten());
}

using LookUp = at::Tensor (*)(const at::Tensor& table, const at::Tensor& indices);

at::Tensor rowlane_look_up(const at::Tensor& table, const at::Tensor& indices) {
  return rowlane::embedding(table, indices);
}

at::Tensor torch_look_up(const at::Tensor& table, const at::Tensor& indices) {
  return at::embedding(table, indices);
}

// Milliseconds of both look-ups of a step, forward and backward, on tables of the model's size.
double time_look_ups(LookUp look_up, const at::Tensor& words, const at::Tensor& positions,
                     const at::Tensor& tokens, const at::Tensor& gradient) {
  const at::Tensor places = torch::arange(tokens.size(1));
  const auto start = std::chrono::steady_clock::now();
  at::add(look_up(words, tokens), look_up(positions, places)).backward(gradient);
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
  words.mutable_grad().reset();
  positions.mutable_grad().reset();
  return ms.count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Returns the loss on other text in the end.
double train(const std::string& positions, const TextSequences& text, const Options& options,
             Record& record) {
  const CommonOptions& common = options.common;
  torch::manual_seed(common.seed);
  LanguageModel model(options, positions == "table");
  torch::optim::AdamW optimizer(model.parameters(),
                                torch::optim::AdamWOptions(options.learning_rate));
  const at::Tensor timed_words = model.words->weight.detach().clone().requires_grad_();
  const at::Tensor timed_positions = torch::zeros({options.length, options.dim}).requires_grad_();
  const at::Tensor gradient = torch::ones({options.batch_size, options.length, options.dim});
  double valid_loss = NAN;
  const auto judge = [&](std::int64_t num_epochs, double train_loss, double step_ms,
                         double rowlane_ms, double torch_ms) {
    const torch::NoGradGuard no_grad;
    valid_loss = loss_of(model, text.valid_batch(16)).item<double>();
    record.add({positions, num_epochs * options.steps_per_epoch, train_loss, valid_loss, step_ms,
                rowlane_ms, torch_ms});
  };
  const std::int64_t first_epoch = resume_training(common, model, optimizer);
  if (first_epoch >= common.num_epochs) {
    judge(first_epoch, NAN, NAN, NAN, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < common.num_epochs; ++epoch) {
    std::vector<double> step_ms, rowlane_ms, torch_ms;
    double total = 0;
    {
      ProgressBar bar(positions + ", epoch " + std::to_string(epoch + 1), options.steps_per_epoch);
      for (std::int64_t step = 0; step < options.steps_per_epoch; ++step) {
        const at::Tensor sequences = text.train_batch(options.batch_size);
        const auto start = std::chrono::steady_clock::now();
        const at::Tensor loss = loss_of(model, sequences);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        const auto value = loss.item<double>();
        const std::chrono::duration<double, std::milli> ms =
            std::chrono::steady_clock::now() - start;
        step_ms.push_back(ms.count());
        total += value;
        const at::Tensor tokens = sequences.narrow(1, 0, options.length);
        // In turns, because the second finds the step's words in the cache.
        for (const bool is_rowlane : {step % 2 == 0, step % 2 != 0}) {
          (is_rowlane ? rowlane_ms : torch_ms)
              .push_back(time_look_ups(is_rowlane ? rowlane_look_up : torch_look_up, timed_words,
                                       timed_positions, tokens, gradient));
        }
        bar.update(step + 1, value);
      }
    }
    keep_training(common, model, optimizer, epoch + 1);
    judge(epoch + 1, total / static_cast<double>(options.steps_per_epoch), median(step_ms),
          median(rowlane_ms), median(torch_ms));
  }
  return valid_loss;
}

int run(Options options) {
  apply_common_options(options.common);
  require_one_training(options.common, options.positions.size() == 1, "one of --positions");
  require_data("text", options.common.data_dir, {"corpus.txt"});
  const Corpus corpus = read_corpus(options.common.data_dir / "corpus.txt",
                                    {.max_words = options.num_words - 1, .unknown = "<unk>"});
  options.num_words = corpus.vocabulary.size();
  const TextSequences text(corpus, options.length);
  const double guess_loss = std::log(options.num_words);
  std::printf("%ld words of text, %ld different ones; a guess has the loss %.2f\n\n",
              corpus.num_words, options.num_words, guess_loss);
  Record record({"positions", "steps", "train_loss", "valid_loss", "step_ms",
                 "rowlane_embedding_ms", "torch_embedding_ms"});
  record.print_header();
  bool is_good = true;
  for (const std::string& positions : options.positions) {
    const double fall = guess_loss - train(positions, text, options, record);
    is_good = fall >= options.least_fall && is_good;
  }
  std::printf("%s", is_good ? "" : "FAIL: the loss is less below a guess's than expected\n");
  write_outputs(
      record,
      {.title = "A causal language model", .x = "steps", .y = {"valid_loss"}, .by = {"positions"}},
      options.common);
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("transformer_lm", [&] {
    rowlane::examples::Options options;
    options.common.data_dir = std::filesystem::path(ROWLANE_EXAMPLE_DATA_DIR) / "dictionary";
    CLI::App app("Trains a causal language model, with positions looked up and computed.");
    add_common_options(app, options.common);
    app.add_option("--positions", options.positions, "table, linear, or both by a comma")
        ->delimiter(',')
        ->check(CLI::IsMember({"table", "linear"}));
    app.add_option("--steps", options.steps_per_epoch, "per epoch")->check(CLI::PositiveNumber);
    app.add_option("--words", options.num_words, "of the vocabulary")
        ->check(CLI::Range(2, 100'000));
    app.add_option("--batch-size", options.batch_size, "sequences")->check(CLI::PositiveNumber);
    app.add_option("--learning-rate", options.learning_rate, "AdamW's")->check(CLI::PositiveNumber);
    app.add_option("--expect-fall", options.least_fall,
                   "fail unless the loss ends so far below a guess's");
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
