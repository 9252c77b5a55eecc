// Tabular data: predicts who earns more than 50K a year, and who survives the Titanic.
//
// Each categorical column gets a table with a row per category; the rows that a person looks up are
// put beside the numbers (age, hours per week) and go into a small multilayer perceptron. For
// comparison: logistic regression on one-hot columns, and the same perceptron on the categories'
// codes, as if they were numbers.
//
// Row 0 of each table, #na#, is for missing values and for categories that training doesn't have.
// Where nothing is missing nobody trains it, so a fourth model sees some categories as #na#.
#include <torch/nn/module.h>
#include <torch/types.h>

#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rowlane/nn/embedding.h"
#include "support/checkpoint.h"
#include "support/embedding_width.h"
#include "support/fastai_adam.h"
#include "support/fastai_init.h"
#include "support/one_cycle.h"
#include "support/people.h"
#include "support/program.h"
#include "support/progress.h"
#include "support/record.h"
#include "support/summary.h"
#include "support/tabular_data.h"
#include "support/tabular_models.h"

namespace rowlane::examples {
namespace {

struct Options {
  CommonOptions common{.num_epochs = 5, .data_dir = ROWLANE_EXAMPLE_DATA_DIR "/tabular"};
  std::string data = "adult";
  std::vector<std::string> models = {"regression", "codes", "dropped", "embeddings"};
  int num_seeds = 1;
  std::int64_t batch_size = 256;
  std::int64_t min_count = 1;
  double learning_rate = 1e-2;
  double category_dropout = 0.05;
  std::vector<double> expected_accuracy, expected_gain;
};

// A table for each column.
class EmbeddingModel final : public TabularModel {
 public:
  EmbeddingModel(const std::vector<std::int64_t>& num_categories, std::int64_t num_numbers,
                 double category_dropout)
      : category_dropout_(category_dropout) {
    std::int64_t width = num_numbers;
    for (const std::int64_t count : num_categories) {
      const std::string name = "table" + std::to_string(tables_.size());
      tables_.emplace_back(register_module(name, fastai_embedding(count, embedding_width(count))));
      width += embedding_width(count);
    }
    layers_ = register_module("layers", std::make_shared<Perceptron>(width));
  }

  at::Tensor forward(const TabularTensors& people) override {
    at::Tensor categories = people.categories;
    if (is_training() && category_dropout_ > 0) {
      categories = categories.masked_fill(torch::rand(categories.sizes()) < category_dropout_, 0);
    }
    std::vector<at::Tensor> columns = {people.numbers};
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      columns.push_back(tables_[i](categories.select(1, static_cast<std::int64_t>(i))));
    }
    return layers_->forward(torch::cat(columns, 1));
  }

 private:
  double category_dropout_;
  std::vector<nn::Embedding> tables_;
  std::shared_ptr<Perceptron> layers_;
};

std::shared_ptr<TabularModel> make_model(const std::string& name, const TabularEncoder& encoder,
                                         const Options& options) {
  const std::vector<std::int64_t> counts = encoder.num_categories();
  const auto num_numbers = static_cast<std::int64_t>(encoder.schema().continuous.size());
  if (name == "regression") {
    return std::make_shared<OneHotRegression>(counts, num_numbers);
  }
  if (name == "codes") {
    return std::make_shared<CodesModel>(static_cast<std::int64_t>(counts.size()), num_numbers);
  }
  const double dropout = name == "embeddings" ? 0 : options.category_dropout;
  return std::make_shared<EmbeddingModel>(counts, num_numbers, dropout);
}

struct Figures {
  double accuracy;
  double auc;
  double unseen_accuracy;  // when the category of one column is unseen, mean over the columns
};

Figures evaluate(TabularModel& model, const TabularTensors& people) {
  const torch::NoGradGuard no_grad;
  model.eval();
  const at::Tensor scores = model.forward(people);
  const std::int64_t num_columns = people.categories.size(1);
  double unseen_accuracy = 0;
  for (std::int64_t column = 0; column < num_columns; ++column) {
    TabularTensors others = people;
    others.categories = people.categories.clone();
    others.categories.select(1, column).zero_();
    unseen_accuracy += accuracy(model.forward(others), people.targets);
  }
  return {accuracy(scores, people.targets), roc_auc(scores, people.targets),
          unseen_accuracy / static_cast<double>(num_columns)};
}

// Adds the figures after each epoch to the record, and returns the last.
Figures train(const std::string& name, std::uint64_t seed, const TabularSplit& split,
              const Options& options, Record& record) {
  torch::manual_seed(seed);
  const auto model = make_model(name, split.encoder, options);
  FastaiAdam optimizer(*model, /*weight_decay=*/0.01);
  const std::int64_t num_batches = split.train.size() / options.batch_size;  // full ones only
  const auto num_steps = static_cast<double>(num_batches * options.common.num_epochs);
  Figures figures{};
  const auto judge = [&](std::int64_t num_epochs, double loss) {
    figures = evaluate(*model, split.valid);
    record.add({options.data, name, static_cast<std::int64_t>(seed), num_epochs, loss,
                figures.accuracy, figures.auc, figures.unseen_accuracy});
  };
  const std::int64_t first_epoch = resume_training(options.common, *model, optimizer);
  if (first_epoch >= options.common.num_epochs) {
    judge(first_epoch, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < options.common.num_epochs; ++epoch) {
    model->train();
    const TabularTensors shuffled =
        split.train.select(torch::randperm(split.train.size(), at::kLong));
    ProgressBar bar(name + ", epoch " + std::to_string(epoch + 1), num_batches);
    double total_loss = 0;
    for (std::int64_t step = 0; step < num_batches; ++step) {
      const auto num_done = static_cast<double>(epoch * num_batches + step);
      const OneCyclePoint now = one_cycle(num_done / num_steps, options.learning_rate);
      const TabularTensors batch = shuffled.narrow(step * options.batch_size, options.batch_size);
      const at::Tensor loss =
          at::binary_cross_entropy_with_logits(model->forward(batch), batch.targets);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step(now.learning_rate, now.beta1);
      total_loss += loss.item<double>();
      bar.update(step + 1, total_loss / static_cast<double>(step + 1));
    }
    keep_training(options.common, *model, optimizer, epoch + 1);
    judge(epoch + 1, total_loss / static_cast<double>(num_batches));
  }
  return figures;
}

void print_widths(const TabularEncoder& encoder) {
  std::printf("columns, with their categories (#na# among them) and the width of their rows\n");
  for (std::size_t i = 0; i < encoder.num_categories().size(); ++i) {
    const std::int64_t count = encoder.num_categories()[i];
    std::printf("%16s  (%" PRId64 ", %" PRId64 ")\n", encoder.schema().categorical[i].c_str(),
                count, embedding_width(count));
  }
}

bool run(const Options& options) {
  apply_common_options(options.common);
  require_one_training(options.common, options.models.size() == 1 && options.num_seeds == 1,
                       "one of --models and one seed");
  const std::vector<CsvRow> rows = read_people(options.common.data_dir, options.data);
  std::vector<TabularSplit> splits;
  for (int i = 0; i < options.num_seeds; ++i) {
    torch::manual_seed(options.common.seed + static_cast<std::uint64_t>(i));
    splits.push_back(split_people(people_schema(options.data), rows, options.min_count));
  }
  print_widths(splits.front().encoder);
  Record record({"data", "model", "seed", "epoch", "train_loss", "accuracy", "auc", "unseen"});
  record.print_header({"data"});
  std::map<std::string, double> means;
  for (const std::string& name : options.models) {
    std::vector<double> accuracies, aucs, unseen_accuracies;
    for (int i = 0; i < options.num_seeds; ++i) {
      const Figures figures = train(name, options.common.seed + static_cast<std::uint64_t>(i),
                                    splits[static_cast<std::size_t>(i)], options, record);
      accuracies.push_back(figures.accuracy);
      aucs.push_back(figures.auc);
      unseen_accuracies.push_back(figures.unseen_accuracy);
    }
    const Spread accuracy = spread_of(accuracies), auc = spread_of(aucs),
                 unseen = spread_of(unseen_accuracies);
    means[name] = accuracy.mean;
    std::printf("%s: accuracy %.4f ± %.4f, AUC %.4f ± %.4f, with an unseen category %.4f ± %.4f\n",
                name.c_str(), accuracy.mean, accuracy.deviation, auc.mean, auc.deviation,
                unseen.mean, unseen.deviation);
  }
  write_outputs(record,
                {.title = "Validation accuracy, " + options.data,
                 .x = "epoch",
                 .y = {"accuracy"},
                 .by = {"model"}},
                options.common);
  const double reached = means[options.models.back()];
  const double gain = reached - means[options.models.front()];
  const bool is_good = is_as_expected("accuracy", reached, options.expected_accuracy);
  return is_as_expected("gain", gain, options.expected_gain) && is_good;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("tabular", [&] {
    rowlane::examples::Options options;
    CLI::App app("Predicts income or survival from columns of categories and numbers.");
    add_common_options(app, options.common);
    app.add_option("--data", options.data, "adult or titanic")
        ->check(CLI::IsMember({"adult", "titanic"}));
    app.add_option("--models", options.models, "which: regression, codes, embeddings, dropped")
        ->delimiter(',')
        ->check(CLI::IsMember({"regression", "codes", "embeddings", "dropped"}));
    app.add_option("--seeds", options.num_seeds, "train with so many seeds, from --seed upwards")
        ->check(CLI::PositiveNumber);
    app.add_option("--batch-size", options.batch_size, "people per step")
        ->check(CLI::PositiveNumber);
    app.add_option("--learning-rate", options.learning_rate, "the largest of the one-cycle");
    app.add_option("--min-count", options.min_count, "a category of fewer people is #na#");
    app.add_option("--dropout", options.category_dropout,
                   "share of the categories that \"dropped\" sees as #na# in training")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--expect-accuracy", options.expected_accuracy,
                   "LO,HI: fail if that of the last model is outside")
        ->delimiter(',')
        ->expected(2);
    app.add_option("--expect-gain", options.expected_gain,
                   "LO,HI: fail if the last model isn't so far ahead of the first")
        ->delimiter(',')
        ->expected(2);
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options) ? 0 : 1;
  });
}
