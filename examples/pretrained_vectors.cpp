// Pretrained vectors: a table that others trained, looked up as it is, and trained further.
//
// Is a sentence of a film review good or bad? A sentence is the mean of its words' rows, and one
// layer tells from it: the NBOW model of Iyyer et al., "Deep Unordered Composition Rivals Syntactic
// Methods for Text Classification" (2015). The table is drawn at random and trained; pretrained and
// frozen; or pretrained and trained further, which is called fine-tuning.
//
// The pretrained table is that of MiniLM's word pieces, or with --vectors one of word2vec or GloVe.
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adagrad.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "rowlane/nn/embedding.h"
#include "support/checkpoint.h"
#include "support/film_reviews.h"
#include "support/pretrained_table.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/record.h"
#include "support/summary.h"
#include "support/tabular_data.h"
#include "support/vectors.h"

namespace rowlane::examples {
namespace {

using rowlane::nn::Embedding;
using rowlane::nn::EmbeddingFromPretrainedOptions;

// Published for NBOW on the same sentences with the critics' own verdicts (10-fold, 300-dimensional
// GloVe); here the verdict is that of twenty readers.
const std::map<std::string, double> kPublishedAccuracy = {{"random", 0.762}, {"fine-tuned", 0.790}};
const std::map<std::string, VectorFormat> kFormats = {
    {"word2vec", VectorFormat::kWord2vecText},
    {"word2vec-binary", VectorFormat::kWord2vecBinary},
    {"glove", VectorFormat::kGloveText}};
constexpr std::int64_t kBatchSize = 50;

struct Options {
  CommonOptions common{.num_epochs = 8, .data_dir = ROWLANE_EXAMPLE_DATA_DIR};
  std::filesystem::path vectors_path, save_path;
  std::string format = "glove";
  std::vector<std::string> tables = {"random", "frozen", "fine-tuned"};
  int num_seeds = 1;
  std::int64_t num_reviews = std::numeric_limits<std::int64_t>::max();
  double learning_rate = 0.02;
  double word_dropout = 0.3;
  std::vector<double> expected_accuracy, expected_gain;
};

// A sentence is the mean of its rows, and its score one number from that.
class ReviewModel : public torch::nn::Module {
 public:
  ReviewModel(const std::string& kind, const PretrainedTable& pretrained)
      : padding_row_(pretrained.padding_row) {
    // As wide as torch's own initial values, so that one learning rate suits all three.
    at::Tensor weight = pretrained.table / pretrained.table.std();
    if (kind == "random") {
      weight.normal_()[padding_row_].zero_();
    }
    // The padding row gets no gradient. That of the others comes as rows, those that were looked
    // up, and Adagrad touches no others.
    table_ =
        register_module("table", Embedding::from_pretrained(weight, EmbeddingFromPretrainedOptions()
                                                                        .freeze(kind == "frozen")
                                                                        .padding_idx(padding_row_)
                                                                        .row_gradient(true)));
    output_ = register_module("output", torch::nn::Linear(weight.size(1), 1));
  }

  // rows [batch, length] -> scores [batch], above zero for good.
  at::Tensor forward(const at::Tensor& rows) {
    const at::Tensor lengths = rows.ne(padding_row_).sum(1, /*keepdim=*/true).clamp_min(1);
    return output_(table_(rows).sum(1) / lengths).squeeze(1);
  }

  std::vector<at::Tensor> trained_parameters() const {
    std::vector<at::Tensor> trained = output_->parameters();
    if (table_->weight.requires_grad()) {
      trained.push_back(table_->weight);
    }
    return trained;
  }
  const at::Tensor& table() const { return table_->weight; }

 private:
  std::int64_t padding_row_;
  Embedding table_{nullptr};
  torch::nn::Linear output_{nullptr};
};

// Returns the mean loss of the batches.
double train_epoch(ReviewModel& model, torch::optim::Optimizer& optimizer,
                   const FilmReviews& reviews, const PretrainedTable& pretrained,
                   const Options& options) {
  const std::int64_t num_batches = reviews.size() / kBatchSize;  // full ones only
  const FilmReviews shuffled = reviews.select(torch::randperm(reviews.size(), at::kLong));
  ProgressBar bar("training", num_batches);
  double total_loss = 0;
  for (std::int64_t step = 0; step < num_batches; ++step) {
    const FilmReviews batch = shuffled.narrow(step * kBatchSize, kBatchSize);
    // Without some of its words a sentence should mean the same.
    const at::Tensor is_dropped = torch::rand(batch.rows.sizes()) < options.word_dropout;
    const at::Tensor rows = batch.rows.masked_fill(is_dropped, pretrained.padding_row);
    const at::Tensor loss =
        at::binary_cross_entropy_with_logits(model.forward(rows), batch.verdicts);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    total_loss += loss.item<double>();
    bar.update(step + 1, total_loss / static_cast<double>(step + 1));
  }
  return total_loss / static_cast<double>(num_batches);
}

// Tests with a tenth of the reviews and trains with the others; returns the accuracy at the end.
// Everything random comes from `seed`, whatever the table.
double train(const std::string& kind, std::uint64_t seed, const PretrainedTable& pretrained,
             const FilmReviews& reviews, const Options& options, Record& record) {
  torch::manual_seed(seed);
  const at::Tensor order = torch::randperm(reviews.size(), at::kLong);
  const std::int64_t num_test = reviews.size() / 10;
  const std::int64_t num_train = std::min(options.num_reviews, reviews.size() - num_test);
  const FilmReviews test = reviews.select(order.narrow(0, 0, num_test));
  const FilmReviews training = reviews.select(order.narrow(0, num_test, num_train));
  ReviewModel model(kind, pretrained);
  torch::optim::Adagrad optimizer(model.trained_parameters(),
                                  torch::optim::AdagradOptions(options.learning_rate));
  double last_accuracy = NAN;
  const auto judge = [&](std::int64_t num_epochs, double loss) {
    const torch::NoGradGuard no_grad;
    last_accuracy = accuracy(model.forward(test.rows), test.verdicts);
    record.add({kind, static_cast<std::int64_t>(seed), num_epochs, loss, last_accuracy});
  };
  const std::int64_t first_epoch = resume_training(options.common, model, optimizer);
  if (first_epoch >= options.common.num_epochs) {
    judge(first_epoch, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < options.common.num_epochs; ++epoch) {
    const double loss = train_epoch(model, optimizer, training, pretrained, options);
    keep_training(options.common, model, optimizer, epoch + 1);
    judge(epoch + 1, loss);
  }
  if (kind == "fine-tuned" && seed == options.common.seed && !options.save_path.empty()) {
    write_vectors(options.save_path, {pretrained.words, model.table()},
                  kFormats.at(options.format));
  }
  if (model.table()[pretrained.padding_row].count_nonzero().item<std::int64_t>() > 0) {
    throw std::runtime_error("the padding row was trained");
  }
  return last_accuracy;
}

bool run(const Options& options) {
  apply_common_options(options.common);
  require_one_training(options.common, options.tables.size() == 1 && options.num_seeds == 1,
                       "one of --tables and one seed");
  const PretrainedTable pretrained =
      options.vectors_path.empty()
          ? read_minilm_table(options.common.data_dir / "minilm")
          : add_special_rows(read_vectors(options.vectors_path, kFormats.at(options.format)));
  if (!options.save_path.empty()) {
    check_words(pretrained.words, kFormats.at(options.format));
  }
  const FilmReviews reviews =
      read_film_reviews(options.common.data_dir / "film-reviews", pretrained);
  const auto num_words = reviews.rows.ne(pretrained.padding_row).sum().item<double>();
  const auto num_unknown = reviews.rows.eq(pretrained.unknown_row).sum().item<double>();
  std::cout << "\ntable " << pretrained.table.sizes() << "; " << reviews.size() << " reviews, "
            << 100 * num_unknown / num_words << " % of their words without a row\n";
  Record record({"table", "seed", "epoch", "train_loss", "accuracy"});
  record.print_header();
  std::vector<double> means;
  for (const std::string& kind : options.tables) {
    std::vector<double> accuracies;
    for (int i = 0; i < options.num_seeds; ++i) {
      const std::uint64_t seed = options.common.seed + static_cast<std::uint64_t>(i);
      accuracies.push_back(train(kind, seed, pretrained, reviews, options, record));
    }
    const Spread spread = spread_of(accuracies);
    std::printf("%s: accuracy %.4f ± %.4f, %zu seed(s)", kind.c_str(), spread.mean,
                spread.deviation, accuracies.size());
    const auto published = kPublishedAccuracy.find(kind);
    if (published != kPublishedAccuracy.end() && options.num_reviews >= reviews.size()) {
      std::printf(", published for the critics' verdict %.3f", published->second);
    }
    std::printf("\n");
    means.push_back(spread.mean);
  }
  write_outputs(record,
                {.title = "Film reviews, accuracy by what the table is",
                 .x = "epoch",
                 .y = {"accuracy"},
                 .by = {"table"}},
                options.common);
  const bool is_good = is_as_expected("accuracy", means.back(), options.expected_accuracy);
  return is_as_expected("gain", means.back() - means.front(), options.expected_gain) && is_good;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("pretrained_vectors", [&] {
    rowlane::examples::Options options;
    CLI::App app("Tells good film reviews from bad ones by pretrained rows.");
    add_common_options(app, options.common);
    app.add_option("--vectors", options.vectors_path, "word vectors to use in place of MiniLM's")
        ->type_name("FILE");
    app.add_option("--format", options.format, "of --vectors and --save")
        ->check(CLI::IsMember(rowlane::examples::kFormats));
    app.add_option("--save", options.save_path, "write the table fine-tuned with --seed")
        ->type_name("FILE");
    app.add_option("--tables", options.tables, "which tables: random, frozen, fine-tuned")
        ->delimiter(',')
        ->check(CLI::IsMember({"random", "frozen", "fine-tuned"}));
    app.add_option("--seeds", options.num_seeds, "train with so many seeds, from --seed upwards")
        ->check(CLI::PositiveNumber);
    app.add_option("--reviews", options.num_reviews, "train with so many, at most")
        ->check(CLI::PositiveNumber);
    app.add_option("--learning-rate", options.learning_rate, "of Adagrad");
    app.add_option("--word-dropout", options.word_dropout, "share of words left out in training");
    app.add_option("--expect-accuracy", options.expected_accuracy,
                   "LO,HI: fail if the last table's accuracy is outside")
        ->delimiter(',')
        ->expected(2);
    app.add_option("--expect-gain", options.expected_gain,
                   "LO,HI: fail if the last table isn't so far ahead of the first")
        ->delimiter(',')
        ->expected(2);
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options) ? 0 : 1;
  });
}
