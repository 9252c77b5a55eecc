// word2vec: learns vectors of words from the words around them, by skip-gram or CBOW with negative
// sampling (Mikolov et al., "Distributed Representations of Words and Phrases and their
// Compositionality"), with the settings of the original program.
//
// Skip-gram: the vector of each word in a window predicts the word in its middle; CBOW: their mean
// does. To predict is to tell the middle from words drawn at random, the negatives, by dot products
// with a second vector of each word. So there are two tables, and training is look-ups, dot
// products and additions to the rows that were looked up.
//
// A block of windows at a time shares its negatives: both tables are looked up once per block, and
// between look-ups and updates are products of matrices. Each pair has as many negatives as in the
// original, by weight. As there, threads change the tables without locks; one thread gives the same
// bits in every run.
#include <ATen/Functions.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "rowlane/nn/embedding.h"
#include "support/checkpoint.h"
#include "support/corpus.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/row_sgd.h"
#include "support/vectors.h"
#include "support/word_tests.h"
#include "support/word_windows.h"

namespace rowlane::examples {
namespace {

struct Options {
  CommonOptions common;
  WindowOptions windows;
  std::string model = "skip-gram";
  std::int64_t dim = 100;
  double negatives = 5;      // per pair
  double learning_rate = 0;  // of the first step; it falls to nothing in a line
  std::vector<std::string> neighbours_of = {"horse", "king", "red", "run"};
  std::string vectors_path;
  double least_similarity = -1;
};

struct Word2vec : torch::nn::Module {
  Word2vec(std::int64_t num_words, std::int64_t dim) {
    const double bound = 0.5 / static_cast<double>(dim);
    in = register_module("word", nn::Embedding::from_pretrained(
                                     torch::empty({num_words, dim}).uniform_(-bound, bound)));
    out = register_module("middle", nn::Embedding::from_pretrained(torch::zeros({num_words, dim})));
  }

  nn::Embedding in{nullptr};   // of a word in a window: the vectors that are kept
  nn::Embedding out{nullptr};  // of a word as the middle of one
};

struct Gradients {
  at::Tensor in;    // [I, dim]
  at::Tensor out;   // [C + S, dim]
  at::Tensor loss;  // of the mean pair, if it was asked for
};

// The loss of a pair is -log p(middle) - sum of log(1 - p(negative)) with p = sigmoid(score); its
// derivative by a score is p - 1 for the middle and p for a negative. Sums are over the pairs.
at::Tensor mean_loss(const at::Tensor& p_middles, const at::Tensor& middle_weights,
                     const at::Tensor& p_negatives, const at::Tensor& negative_weights) {
  const at::Tensor sum = at::add(at::mul(p_middles.log(), middle_weights).sum(),
                                 at::mul(p_negatives.neg().log1p(), negative_weights).sum());
  return at::div(sum, middle_weights.sum()).neg();
}

// in [I, dim], out [C + S, dim]. Each of the S negatives counts `weight`.
Gradients skip_gram(const WindowBlock& block, const at::Tensor& in, const at::Tensor& out,
                    double weight, bool with_loss) {
  const std::int64_t num_middles = block.num_middles();
  const at::Tensor pairs = window_pairs(block);             // [I, C]
  const at::Tensor error = at::mm(in, out.t()).sigmoid_();  // [I, C + S]: p, then the derivative
  const at::Tensor of_middles = error.narrow(1, 0, num_middles);
  const at::Tensor of_negatives = error.narrow(1, num_middles, out.size(0) - num_middles);
  const at::Tensor weights = pairs.sum(1, /*keepdim=*/true).mul_(weight);
  Gradients gradients;
  if (with_loss) {
    gradients.loss = mean_loss(of_middles, pairs, of_negatives, weights);
  }
  of_middles.sub_(1).mul_(pairs);
  of_negatives.mul_(weights);
  gradients.in = at::mm(error, out);
  gradients.out = at::mm(error.t(), in);
  return gradients;
}

// As in the original, each word of a window gets the whole gradient of their mean.
Gradients cbow(const WindowBlock& block, const at::Tensor& in, const at::Tensor& out, double weight,
               bool with_loss) {
  const std::int64_t num_middles = block.num_middles();
  const at::Tensor means = window_means(block, in);  // [C, dim]
  const at::Tensor middles = out.narrow(0, 0, num_middles);
  const at::Tensor negatives = out.narrow(0, num_middles, out.size(0) - num_middles);
  const at::Tensor of_middles = at::mul(means, middles).sum(1, /*keepdim=*/true).sigmoid_();
  const at::Tensor of_negatives = at::mm(means, negatives.t()).sigmoid_();  // [C, S]
  Gradients gradients;
  if (with_loss) {
    gradients.loss = mean_loss(of_middles, at::ones_like(of_middles), of_negatives,
                               at::full_like(of_negatives, weight));
  }
  of_middles.sub_(1);
  of_negatives.mul_(weight);
  gradients.in =
      add_to_windows(block, at::addmm(at::mul(middles, of_middles), of_negatives, negatives));
  gradients.out = at::empty_like(out);
  at::Tensor middle_gradients = gradients.out.narrow(0, 0, num_middles);
  at::Tensor negative_gradients = gradients.out.narrow(0, num_middles, negatives.size(0));
  at::mul_out(middle_gradients, means, of_middles);
  at::mm_out(negative_gradients, of_negatives.t(), means);
  return gradients;
}

// One thread's share of an epoch. `num_done` counts the tokens of all threads and epochs.
void train_lines(Word2vec& model, WindowSampler& windows, std::atomic<std::int64_t>& num_done,
                 std::int64_t num_total, const Options& options, ProgressBar* bar, double& loss) {
  const torch::NoGradGuard no_grad;
  torch::set_num_threads(1);  // each of the program's threads has one of torch's
  const double weight = options.negatives / static_cast<double>(options.windows.block_negatives);
  RowSgd sgd;
  std::int64_t num_read = 0;
  WindowBlock block;
  for (std::int64_t i = 0; windows.next(block); ++i) {
    const bool reports = i % 64 == 0;
    if (reports) {
      const std::int64_t now = num_done += windows.num_tokens_read() - num_read;
      num_read = windows.num_tokens_read();
      const double left = 1 - static_cast<double>(now) / static_cast<double>(num_total);
      sgd.learning_rate = options.learning_rate * std::max(left, 1e-4);
      if (bar != nullptr) {
        bar->update(now, loss);
      }
    }
    const at::Tensor in = model.in(block.in_words);
    const at::Tensor out = model.out(block.out_words);
    const auto gradients_of = options.model == "cbow" ? cbow : skip_gram;
    const Gradients gradients = gradients_of(block, in, out, weight, reports);
    sgd.step(model.in->weight, block.in_words, gradients.in);
    sgd.step(model.out->weight, block.out_words, gradients.out);
    if (reports) {
      loss = gradients.loss.item<double>();
    }
  }
  num_done += windows.num_tokens_read() - num_read;
}

WordScores train(Word2vec& model, const Corpus& corpus, const WordTests& tests,
                 const Options& options, Record& record) {
  const CommonOptions& common = options.common;
  const auto num_threads = static_cast<std::int64_t>(common.num_threads);
  const auto num_lines = static_cast<std::int64_t>(corpus.line_ends.size());
  const auto num_tokens = static_cast<std::int64_t>(corpus.tokens.size());
  RowSgd sgd;
  const std::int64_t first_epoch = resume_training(common, model, sgd);
  std::atomic<std::int64_t> num_done{first_epoch * num_tokens};
  std::vector<WindowSampler> samplers(num_threads, WindowSampler(corpus, options.windows));
  WordScores scores{};
  const auto judge = [&](std::int64_t num_epochs, double loss, double seconds) {
    scores = score_words(corpus.vocabulary, model.in->weight, tests);
    record.add({options.model, num_epochs, loss, scores.similarity.score, scores.analogies.score,
                static_cast<double>(corpus.num_words) / seconds});
  };
  record.print_header();
  if (first_epoch >= common.num_epochs) {
    judge(first_epoch, NAN, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < common.num_epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<double> losses(num_threads, NAN);
    {
      ProgressBar bar("epoch " + std::to_string(epoch + 1), common.num_epochs * num_tokens);
      std::vector<std::jthread> threads;
      for (std::int64_t i = 0; i < num_threads; ++i) {
        samplers[i].start(num_lines * i / num_threads, num_lines * (i + 1) / num_threads,
                          common.seed + static_cast<std::uint64_t>(epoch * num_threads + i));
        threads.emplace_back([&, i] {
          train_lines(model, samplers[i], num_done, common.num_epochs * num_tokens, options,
                      i == 0 ? &bar : nullptr, losses[i]);
        });
      }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    keep_training(common, model, sgd, epoch + 1);
    judge(epoch + 1, losses[0], seconds.count());
  }
  return scores;
}

int run(Options options) {
  const CommonOptions& common = options.common;
  require_data("text and tests of word vectors", common.data_dir,
               {"corpus.txt", "wordsim353.tsv", "questions-words.txt"});
  apply_common_options(common);
  const bool is_cbow = options.model == "cbow";
  const auto set_default = [](auto& option, auto value) { option = option == 0 ? value : option; };
  set_default(options.learning_rate, is_cbow ? 0.05 : 0.025);
  set_default(options.windows.block_words, is_cbow ? 128 : 64);
  set_default(options.windows.block_negatives, is_cbow ? 32 : 64);
  const Corpus corpus = read_corpus(common.data_dir / "corpus.txt", {});
  const WordTests tests = read_word_tests(common.data_dir);
  std::printf("%ld words, %ld different ones\n", corpus.num_words, corpus.vocabulary.size());
  Word2vec model(corpus.vocabulary.size(), options.dim);
  Record record({"model", "epoch", "loss", "similarity", "analogies", "words_per_second"});
  const WordScores scores = train(model, corpus, tests, options, record);
  const WordVectors vectors{corpus.vocabulary.words(), model.in->weight};
  std::printf("\n");
  if (!options.vectors_path.empty()) {
    write_both_formats(options.vectors_path, vectors);
  }
  write_outputs(record, {.title = "word2vec", .x = "epoch", .y = {"similarity"}, .by = {"model"}},
                common);
  for (const std::string& word : options.neighbours_of) {
    print_neighbours(corpus.vocabulary, vectors.table, word, 6);
  }
  // A score of NaN is good for those alone that expect nothing.
  const bool is_good =
      options.least_similarity <= -1 || scores.similarity.score >= options.least_similarity;
  std::printf("%s", is_good ? "" : "FAIL: the similarity is lower than expected\n");
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("word2vec", [&] {
    rowlane::examples::Options options;
    options.common.data_dir = std::filesystem::path(ROWLANE_EXAMPLE_DATA_DIR) / "dictionary";
    CLI::App app("Learns vectors of words from a dictionary, and tests them.");
    add_common_options(app, options.common);
    add_window_options(app, options.windows);
    app.add_option("--model", options.model, "skip-gram or cbow")
        ->check(CLI::IsMember({"skip-gram", "cbow"}));
    app.add_option("--dim", options.dim, "elements of a vector")->check(CLI::PositiveNumber);
    app.add_option("--negatives", options.negatives, "per pair")->check(CLI::PositiveNumber);
    app.add_option("--learning-rate", options.learning_rate, "0: 0.025, for cbow 0.05");
    app.add_option("--neighbours-of", options.neighbours_of, "words, by commas")->delimiter(',');
    app.add_option("--vectors", options.vectors_path, "PATH: write PATH.txt and PATH.bin");
    app.add_option("--expect-similarity", options.least_similarity, "fail if it is lower");
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
