// Rows of a table become row numbers and floats as training saw them, and nothing else.
#include "examples/support/tabular_data.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "examples/support/embedding_width.h"
#include "examples/support/people.h"
#include "examples/support/summary.h"
#include "examples/support/tabular_models.h"
#include "temporary_directory.h"

namespace rowlane::testing {
namespace {

using examples::CsvRow;
using examples::TabularEncoder;
using examples::TabularSchema;
using examples::TabularTensors;

const TabularSchema kSchema = {.header = {"sex", "age", "town", "alive"},
                               .categorical = {"town", "sex"},
                               .continuous = {"age"},
                               .target = "alive",
                               .positive = "yes"};
const std::vector<CsvRow> kTraining = {{"man", "10", "Rome", "yes"},
                                       {"woman", "30", "Oslo", "no"},
                                       {"man", "?", "Rome", "no"},
                                       {"woman", "20", "", "yes"}};

TEST(TabularEncoder, NumbersCategoriesFromOneInSortedOrder) {
  const TabularEncoder encoder(kSchema, kTraining);
  EXPECT_EQ(encoder.num_categories(), std::vector<std::int64_t>({3, 3}));
  const TabularTensors tensors = encoder.encode(kTraining);
  EXPECT_TRUE(tensors.categories.equal(torch::tensor({{2, 1}, {1, 2}, {2, 1}, {0, 2}}, at::kLong)));
  EXPECT_TRUE(tensors.targets.equal(torch::tensor({1.F, 0.F, 0.F, 1.F})));
}

TEST(TabularEncoder, MapsUnseenAndMissingCategoriesToRowZero) {
  const std::vector<CsvRow> others = {
      {"child", "20", "Lima", "no"}, {"?", "20", "Oslo", "no"}, {"man", "20", "oslo", "yes"}};
  EXPECT_TRUE(TabularEncoder(kSchema, kTraining)
                  .encode(others)
                  .categories.equal(torch::tensor({{0, 0}, {1, 0}, {0, 1}}, at::kLong)));
}

TEST(TabularEncoder, MapsRareCategoriesToRowZero) {
  const TabularEncoder encoder(kSchema, kTraining, /*min_count=*/2);
  EXPECT_EQ(encoder.num_categories(), std::vector<std::int64_t>({2, 3}));
  EXPECT_TRUE(encoder.encode(kTraining).categories.select(1, 0).equal(
      torch::tensor({1, 0, 1, 0}, at::kLong)));
}

TEST(TabularEncoder, NormalisesByTheTrainingRowsAlone) {
  const TabularEncoder encoder(kSchema, kTraining);
  // Mean 20, variance (100 + 100 + 0) / 3; a missing one is the mean.
  const float one = static_cast<float>(10 / std::sqrt(200. / 3));
  EXPECT_TRUE(encoder.encode(kTraining).numbers.squeeze(1).allclose(
      torch::tensor({-one, one, 0.F, 0.F}), 1e-6, 0));
  const std::vector<CsvRow> other = {{"man", "1e2", "Rome", "no"}};
  EXPECT_FLOAT_EQ(encoder.encode(other).numbers.item<float>(), 8 * one);
}

TEST(TabularEncoder, MakesZerosOfAColumnOfEqualNumbers) {
  const std::vector<CsvRow> rows = {{"man", "7", "Rome", "yes"}, {"man", "7", "Rome", "no"}};
  EXPECT_EQ(TabularEncoder(kSchema, rows).encode(rows).numbers.abs().sum().item<float>(), 0);
}

TEST(TabularEncoder, NamesTheColumnThatIsWrong) {
  const std::vector<CsvRow> rows = {{"man", "old", "Rome", "yes"}};
  EXPECT_EQ(message_of([&] { const TabularEncoder encoder(kSchema, rows); }),
            "column \"age\" must have numbers, got \"old\"");
  EXPECT_EQ(
      message_of([&] {
        const TabularEncoder encoder(kSchema, std::vector<CsvRow>{{"man", "7 years", "", ""}});
      }),
      "column \"age\" must have numbers, got \"7 years\"");
  TabularSchema schema = kSchema;
  schema.continuous = {"size"};
  EXPECT_EQ(message_of([&] { const TabularEncoder encoder(schema, rows); }),
            "no column \"size\" in the table");
  EXPECT_EQ(message_of([&] { const TabularEncoder encoder(kSchema, {}); }),
            "there are no training rows");
}

TEST(TabularEncoder, TakesAColumnWithoutANumberAsItIs) {
  const std::vector<CsvRow> rows = {{"man", "?", "Rome", "yes"}};
  const std::vector<CsvRow> other = {{"man", "7", "Rome", "yes"}};
  EXPECT_EQ(TabularEncoder(kSchema, rows).encode(other).numbers.item<float>(), 7);
}

TEST(TabularTensors, SelectAndNarrowPeopleAsAWhole) {
  const at::Tensor ids = torch::arange(4);
  const TabularTensors people{ids.unsqueeze(1), ids.unsqueeze(1).to(at::kFloat),
                              ids.to(at::kFloat)};
  const auto expect_ids = [](const TabularTensors& some, const at::Tensor& expected) {
    EXPECT_TRUE(some.categories.squeeze(1).equal(expected));
    EXPECT_TRUE(some.numbers.squeeze(1).equal(expected.to(at::kFloat)));
    EXPECT_TRUE(some.targets.equal(expected.to(at::kFloat)));
  };
  expect_ids(people.select(torch::tensor({3, 1}, at::kLong)), torch::tensor({3, 1}, at::kLong));
  expect_ids(people.narrow(1, 2), torch::tensor({1, 2}, at::kLong));
}

TEST(EmbeddingWidth, IsThreeForTwoSexesAndTheUnseen) {
  const TabularEncoder encoder(kSchema, kTraining);
  EXPECT_EQ(examples::embedding_width(encoder.num_categories()[1]), 3);
}

TEST(People, KeepAFifthForValidationThatTheEncoderDoesNotSee) {
  std::vector<CsvRow> rows;
  for (int i = 0; i < 20; ++i) {
    rows.push_back({"man", std::to_string(i), "town " + std::to_string(i), "no"});
  }
  torch::manual_seed(0);
  const examples::TabularSplit split = examples::split_people(kSchema, rows, 1);
  EXPECT_EQ(split.train.size(), 16);
  EXPECT_EQ(split.valid.size(), 4);
  EXPECT_EQ(split.encoder.num_categories()[0], 17);
  EXPECT_EQ(split.valid.categories.select(1, 0).sum().item<std::int64_t>(), 0);
  EXPECT_NEAR(split.train.numbers.mean().item<double>(), 0, 1e-6);
  // In the order of the permutation, and so of another seed another one.
  torch::manual_seed(1);
  EXPECT_FALSE(examples::split_people(kSchema, rows, 1).train.numbers.equal(split.train.numbers));
  EXPECT_EQ(examples::split_people(kSchema, rows, 2).encoder.num_categories()[0], 1);
}

TEST(People, AreReadFromTheFileOfTheirName) {
  const TemporaryDirectory directory;
  directory.write("titanic.csv", "class,age,sex,survived\n1st class,adults,man,yes\n");
  EXPECT_EQ(examples::read_people(directory.path(), "titanic"),
            std::vector<CsvRow>({{"1st class", "adults", "man", "yes"}}));
  EXPECT_EQ(message_of([&] { examples::read_people(directory.path(), "adult"); }),
            "no people in " + directory.path().string() +
                " (adult.csv is missing): get them with 'make data'");
}

TEST(OneHotRegression, GivesEachCategoryAWeight) {
  const TabularEncoder encoder(kSchema, kTraining);
  examples::OneHotRegression model(encoder.num_categories(), 1);
  const std::vector<at::Tensor> parameters = model.parameters();
  ASSERT_EQ(parameters[0].sizes(), torch::IntArrayRef({1, 7}));
  // A number, then towns #na#, Oslo, Rome, then sexes #na#, man, woman.
  parameters[0].set_data(torch::tensor({{100.F, 1.F, 2.F, 3.F, 10.F, 20.F, 30.F}}));
  parameters[1].set_data(torch::tensor({0.5F}));
  TabularTensors people = encoder.encode(kTraining);
  people.numbers = torch::tensor({{0.F}, {1.F}, {0.F}, {0.F}});
  EXPECT_TRUE(model.forward(people).equal(torch::tensor({23.5F, 132.5F, 23.5F, 31.5F})));
}

TEST(CodesModel, TakesCodesAndNumbers) {
  torch::manual_seed(0);
  examples::CodesModel model(2, 1);
  const TabularTensors people = TabularEncoder(kSchema, kTraining).encode(kTraining);
  model.eval();
  const at::Tensor scores = model.forward(people);
  ASSERT_EQ(scores.sizes(), torch::IntArrayRef({4}));
  for (const bool is_category : {true, false}) {
    TabularTensors others = people;
    (is_category ? others.categories : others.numbers) =
        is_category ? people.categories + 1 : people.numbers + 1;
    EXPECT_TRUE(model.forward(others).ne(scores).all().item<bool>());
  }
  // Training normalises: codes ten times as large are the same.
  model.train();
  const at::Tensor trained = model.forward(people);
  EXPECT_TRUE(model.forward({10 * people.categories, people.numbers, people.targets})
                  .allclose(trained, 1e-3, 1e-3));
}

TEST(Perceptron, NormalisesWhatItsHiddenLayersGive) {
  torch::manual_seed(0);
  examples::Perceptron layers(3);
  layers.train();
  const at::Tensor x = torch::randn({64, 3});
  layers.forward(x);
  for (const char* norm : {"norm1", "norm2"}) {
    const at::Tensor mean = layers.named_buffers()[std::string(norm) + ".running_mean"];
    EXPECT_GT(mean.abs().max().item<double>(), 0) << norm;
  }
}

TEST(Accuracy, CountsTheRightSides) {
  EXPECT_EQ(
      examples::accuracy(torch::tensor({1.F, -1.F, 2.F, 0.F}), torch::tensor({1.F, 0.F, 0.F, 1.F})),
      0.5);
}

TEST(ScoresThatAreNotANumber, GiveNoFigureAndAreTold) {
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor targets = torch::tensor({1.F, 1.F, 0.F, 0.F});
  const at::Tensor scores = torch::tensor({infinity, NAN, 2.F, -infinity});
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(std::isnan(examples::roc_auc(scores, targets)));
  EXPECT_TRUE(std::isnan(examples::accuracy(scores, targets)));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "1 of 4 scores are not-a-number\n1 of 4 scores are not-a-number\n");
  EXPECT_EQ(examples::roc_auc(torch::tensor({infinity, 1.F, 1.F, -infinity}), targets), 0.875);
}

TEST(RocAuc, CountsThePairsInOrderAndTiesHalf) {
  const at::Tensor targets = torch::tensor({1.F, 1.F, 0.F, 0.F});
  EXPECT_EQ(examples::roc_auc(torch::tensor({4.F, 3.F, 2.F, 1.F}), targets), 1);
  EXPECT_EQ(examples::roc_auc(torch::tensor({1.F, 2.F, 3.F, 4.F}), targets), 0);
  EXPECT_EQ(examples::roc_auc(torch::tensor({4.F, 2.F, 3.F, 1.F}), targets), 0.75);
  EXPECT_EQ(examples::roc_auc(torch::tensor({5.F, 5.F, 5.F, 1.F}), targets), 0.75);
  EXPECT_TRUE(std::isnan(examples::roc_auc(torch::tensor({1.F}), torch::tensor({1.F}))));
}

TEST(Spread, IsMeanAndSampleDeviation) {
  EXPECT_EQ(examples::spread_of({1, 2, 3}).mean, 2);
  EXPECT_EQ(examples::spread_of({1, 2, 3}).deviation, 1);
  EXPECT_EQ(examples::spread_of({5}).deviation, 0);
  EXPECT_EQ(examples::spread_of({2, 1, 3}).least, 1);
  EXPECT_EQ(examples::spread_of({2, 3, 1}).most, 3);
  EXPECT_TRUE(std::isnan(examples::spread_of({2, NAN, 3}).most));
}

TEST(IsAsExpected, TellsWhatIsOutside) {
  ::testing::internal::CaptureStdout();
  EXPECT_TRUE(examples::is_as_expected("accuracy", 0.5, {0.5, 0.6}));
  EXPECT_TRUE(examples::is_as_expected("accuracy", 0.6, {0.5, 0.6}));
  EXPECT_FALSE(examples::is_as_expected("accuracy", 0.4999, {0.5, 0.6}));
  EXPECT_FALSE(examples::is_as_expected("loss", std::numeric_limits<double>::quiet_NaN(), {0, 1}));
  EXPECT_TRUE(examples::is_as_expected("loss", 9, {}));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(),
            "accuracy 0.5000, expected between 0.5 and 0.6: ok\n"
            "accuracy 0.6000, expected between 0.5 and 0.6: ok\n"
            "accuracy 0.4999, expected between 0.5 and 0.6: FAIL\n"
            "loss nan, expected between 0 and 1: FAIL\n");
}

}  // namespace
}  // namespace rowlane::testing
