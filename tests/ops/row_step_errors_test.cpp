// Every mistake that a step can be refused for: what it says, and that nothing has changed.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/steps.h"

namespace rowlane::testing {
namespace {

// What the calls work on; each gets a fresh one.
struct Inputs {
  StepTensors table = [] {
    StepTensors tensors = random_table(rule_case("Adam"), 5, 2, torch::kFloat, torch::kFloat);
    tensors.row_steps = torch::zeros({5}, torch::kLong);
    return tensors;
  }();
  RuleCase rule = rule_case("Adam");
  torch::Tensor rows = torch::tensor({1, 3}, torch::kLong);
  torch::Tensor values = torch::ones({2, 2});
  torch::Tensor indices = torch::tensor({{0, 1, 1}, {2, 3, 4}}, torch::kLong);
  torch::Tensor grad = torch::ones({2, 3, 2});

  void row_step() const { table.row_step(rows, values, rule); }
  void embedding_step(std::optional<std::int64_t> padding_idx = std::nullopt) const {
    table.embedding_step(grad, indices, rule, padding_idx);
  }
  void catch_up(std::int64_t last_step = 3) const {
    StepNumbers numbers = rule.numbers;
    numbers.step = 1;
    table.catch_up(indices, rule.rule, {numbers}, last_step);
  }
};

struct BadStep {
  const char* name;
  std::function<void(Inputs&)> call;
  const char* message;
  bool is_for_cpu = false;  // device code reports it later or not at all
};

std::vector<BadStep> bad_targets() {
  return {
      {"TableOfOneDim",
       [](Inputs& in) {
         in.table.weight = in.table.weight[0];
         in.row_step();
       },
       "rowlane::row_step_: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape [2]"},
      {"TableOfIntegers",
       [](Inputs& in) {
         in.table.weight = in.table.weight.to(torch::kLong);
         in.row_step();
       },
       "rowlane::row_step_: weight must be half, bfloat16, float or double, got Long"},
      {"StridedTable",
       [](Inputs& in) {
         in.table.weight = torch::ones({2, 5}).t();
         in.embedding_step();
       },
       "rowlane::embedding_step_: weight must be contiguous"},
      {"UnknownRule",
       [](Inputs& in) {
         in.rule.rule = "adamax";
         in.row_step();
       },
       "rowlane::row_step_: rule must be sgd, adagrad, rowwise_adagrad, adam, sparse_adam, "
       "partial_rowwise_adam or lamb, got 'adamax'"},
      {"MissingState",
       [](Inputs& in) {
         in.table.state.pop_back();
         in.row_step();
       },
       "rowlane::row_step_: rule 'adam' keeps 2 tensors, got 1"},
      {"StateOfAnotherShape",
       [](Inputs& in) {
         in.table.state[1] = torch::zeros({5, 3});
         in.embedding_step();
       },
       "rowlane::embedding_step_: state[1] must have shape [5, 2], got [5, 3]"},
      {"StridedState",
       [](Inputs& in) {
         in.table.state[0] = torch::zeros({2, 5}).t();
         in.row_step();
       },
       "rowlane::row_step_: state[0] must be contiguous"},
      {"StateOnAnotherDevice",
       [](Inputs& in) {
         in.table.state[0] = in.table.state[0].to(torch::kMeta);
         in.row_step();
       },
       "rowlane::row_step_: state[0] must be on weight's device, cpu, got meta"},
      {"StateOfAnotherDtype",
       [](Inputs& in) {
         in.table.state[0] = in.table.state[0].to(torch::kDouble);
         in.row_step();
       },
       "rowlane::row_step_: state[0] must be of weight's dtype, Float, or Float, got Double"},
      {"StatesOfTwoDtypes",
       [](Inputs& in) {
         in.table.weight = in.table.weight.to(torch::kHalf);
         in.table.state[1] = in.table.state[1].to(torch::kHalf);
         in.row_step();
       },
       "rowlane::row_step_: the tensors of state must have one dtype, got Float and Half"},
      {"RowWiseStateOfAnotherDtype",
       [](Inputs& in) {
         in.rule = rule_case("RowWiseAdagrad");
         in.table.state = {torch::zeros({5}, torch::kHalf)};
         in.row_step();
       },
       "rowlane::row_step_: state[0] must be Float, got Half"},
      {"FloatRowSteps",
       [](Inputs& in) {
         in.table.row_steps = torch::zeros({5});
         in.row_step();
       },
       "rowlane::row_step_: row_steps must be int64, got Float"},
      {"CountsWithoutRowSteps",
       [](Inputs& in) {
         in.table.row_steps = std::nullopt;
         in.table.counts_rows = true;
         in.row_step();
       },
       "rowlane::row_step_: counts_rows needs row_steps"},
      {"MasterOfAFloatTable",
       [](Inputs& in) {
         in.table.master = in.table.weight.clone();
         in.row_step();
       },
       "rowlane::row_step_: master must be float, of a table of half or bfloat16, got Float and "
       "Float"},
      {"SeedOfAFloatTable",
       [](Inputs& in) {
         in.table.seed = 3;
         in.row_step();
       },
       "rowlane::row_step_: seed rounds a table of half or bfloat16 at random, got Float"},
      {"StepZero",
       [](Inputs& in) {
         in.rule.numbers.step = 0;
         in.embedding_step();
       },
       "rowlane::embedding_step_: step counts from 1, got 0"},
  };
}

std::vector<BadStep> bad_gradients() {
  return {
      {"IntRows",
       [](Inputs& in) {
         in.rows = in.rows.to(torch::kInt);
         in.row_step();
       },
       "rowlane::row_step_: rows must be int64, got Int"},
      {"RowsOfTwoDims",
       [](Inputs& in) {
         in.rows = in.rows.unsqueeze(0);
         in.row_step();
       },
       "rowlane::row_step_: rows must be 1-D, got shape [1, 2]"},
      {"DoubleValues",
       [](Inputs& in) {
         in.values = in.values.to(torch::kDouble);
         in.row_step();
       },
       "rowlane::row_step_: values must be of weight's dtype, Float, got Double"},
      {"ValuesOfAnotherShape",
       [](Inputs& in) {
         in.values = torch::ones({3, 2});
         in.row_step();
       },
       "rowlane::row_step_: values must have shape [2, 2], got [3, 2]"},
      {"ValuesOnAnotherDevice",
       [](Inputs& in) {
         in.values = in.values.to(torch::kMeta);
         in.row_step();
       },
       "rowlane::row_step_: values must be on weight's device, cpu, got meta"},
      {"RowBehindTheTable",
       [](Inputs& in) {
         in.rows = torch::tensor({1, 5}, torch::kLong);
         in.row_step();
       },
       "rowlane::row_step_: rows[1] is 5, out of range: the table has 5 rows", true},
      {"RowTwice",
       [](Inputs& in) {
         in.rows = torch::tensor({3, 3}, torch::kLong);
         in.row_step();
       },
       "rowlane::row_step_: rows must be all different, got 3 twice", true},
      {"FloatIndices",
       [](Inputs& in) {
         in.indices = in.indices.to(torch::kFloat);
         in.embedding_step();
       },
       "rowlane::embedding_step_: indices must be int32 or int64, got Float"},
      {"GradientsOfOtherIndices",
       [](Inputs& in) {
         in.indices = in.indices.t();
         in.embedding_step();
       },
       "rowlane::embedding_step_: grad_output must have the shape of indices and one more dim, got "
       "[2, 3, 2] and indices [3, 2]"},
      {"GradientsOfAnotherDtype",
       [](Inputs& in) {
         in.grad = in.grad.to(torch::kHalf);
         in.embedding_step();
       },
       "rowlane::embedding_step_: grad_output must be of weight's dtype, Float, got Half"},
      {"GradientsOfAnotherDim",
       [](Inputs& in) {
         in.grad = torch::ones({2, 3, 4});
         in.embedding_step();
       },
       "rowlane::embedding_step_: the last dim of grad_output must be weight's, 2, got 4"},
      {"PaddingBehindTheTable", [](Inputs& in) { in.embedding_step(5); },
       "rowlane::embedding_step_: padding_idx 5 is out of range for a table of 5 rows"},
      {"IndexBehindTheTable",
       [](Inputs& in) {
         in.indices = torch::tensor({{0, 1, 1}, {2, 5, 4}}, torch::kLong);
         in.embedding_step();
       },
       "rowlane::embedding_step_: index 5 at position 4 (indices[1][1]) is out of range: the table "
       "has 5 rows",
       true},
  };
}

std::vector<BadStep> bad_catch_ups() {
  return {
      {"RuleWithoutCatchUp",
       [](Inputs& in) {
         in.rule.rule = "lamb";
         in.catch_up();
       },
       "rowlane::row_catch_up_: rule must be sgd, adagrad or adam, got 'lamb'"},
      {"CatchUpOfShortIndices",
       [](Inputs& in) {
         in.indices = in.indices.to(torch::kShort);
         in.catch_up();
       },
       "rowlane::row_catch_up_: indices must be int32 or int64, got Short"},
      {"NoHistory", [](Inputs& in) { in.table.catch_up(in.indices, in.rule.rule, {}, 3); },
       "rowlane::row_catch_up_: history must have shape [K, 8] with a line at least, got [0, 8]"},
      {"DescendingHistory",
       [](Inputs& in) {
         in.table.catch_up(in.indices, in.rule.rule, {in.rule.numbers, in.rule.numbers}, 3);
       },
       "rowlane::row_catch_up_: the steps of history must ascend from 1 or more, got 5 and 5"},
      {"HistoryThatBeginsLate",
       [](Inputs& in) { in.table.catch_up(in.indices, in.rule.rule, {in.rule.numbers}, 8); },
       "rowlane::row_catch_up_: history must begin with step 1, the first that a row has missed, "
       "got 5",
       true},
      {"NegativeLastStep", [](Inputs& in) { in.catch_up(-1); },
       "rowlane::row_catch_up_: last_step must not be negative, got -1"},
      {"CatchUpBehindTheTable",
       [](Inputs& in) {
         in.indices = torch::tensor({{0, 1, 1}, {2, 5, 4}}, torch::kLong);
         in.catch_up();
       },
       "rowlane::row_catch_up_: index 5 at position 4 (indices[1][1]) is out of range: the table "
       "has 5 rows",
       true},
  };
}

class BadSteps : public ::testing::TestWithParam<BadStep> {};

TEST_P(BadSteps, SayWhatIsWrongAndChangeNothing) {
  const BadStep& bad = GetParam();
  if (bad.is_for_cpu && cpu_is_emulated_device()) {
    GTEST_SKIP() << "for ops_test: device code does not look at the numbers before it works";
  }
  Inputs inputs;
  const StepTensors shown = inputs.table;
  const StepTensors before = shown.clone();
  try {
    bad.call(inputs);
    ADD_FAILURE() << "no error was thrown";
  } catch (const c10::Error& error) {
    EXPECT_EQ(std::string(error.what_without_backtrace()), bad.message);
  }
  EXPECT_TRUE(shown.weight.equal(before.weight));
  EXPECT_TRUE(shown.state[0].equal(before.state[0]));
  EXPECT_TRUE(shown.state[1].equal(before.state[1]));
  EXPECT_TRUE(shown.row_steps->equal(*before.row_steps));
}

std::string step_name(const ::testing::TestParamInfo<BadStep>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Target, BadSteps, ::testing::ValuesIn(bad_targets()), step_name);
INSTANTIATE_TEST_SUITE_P(Gradient, BadSteps, ::testing::ValuesIn(bad_gradients()), step_name);
INSTANTIATE_TEST_SUITE_P(CatchUp, BadSteps, ::testing::ValuesIn(bad_catch_ups()), step_name);

TEST(StepsAndAutograd, RefuseATableThatIsBeingTrained) {
  Inputs in;
  in.table.weight.requires_grad_();
  try {
    in.row_step();
    ADD_FAILURE() << "no error was thrown";
  } catch (const c10::Error& error) {
    EXPECT_STREQ(error.what_without_backtrace(),
                 "rowlane::row_step_: weight requires a gradient, which a step in place doesn't "
                 "have; call it under torch::NoGradGuard");
  }
  const torch::NoGradGuard no_grad;
  in.row_step();
  EXPECT_TRUE(in.table.weight.requires_grad());
}

TEST(StepsAndAutograd, CountAsChanges) {
  const auto version = [](const torch::Tensor& tensor) {
    return tensor.unsafeGetTensorImpl()->version_counter().current_version();
  };
  const Inputs in;
  in.row_step();
  in.embedding_step();
  in.catch_up();
  EXPECT_EQ(version(in.table.weight), 3);
  EXPECT_EQ(version(in.table.state[0]), 3);
  EXPECT_EQ(version(in.table.state[1]), 3);
}

TEST(StepsWithoutData, AreCheckedAlone) {
  Inputs in;
  in.table = in.table.to(torch::kMeta);
  in.rows = in.rows.to(torch::kMeta);
  in.values = in.values.to(torch::kMeta);
  in.indices = in.indices.to(torch::kMeta);
  in.grad = in.grad.to(torch::kMeta);
  in.row_step();
  in.embedding_step();
  in.catch_up();
  in.values = in.values.to(torch::kHalf);
  EXPECT_THROW(in.row_step(), c10::TypeError);
}

}  // namespace
}  // namespace rowlane::testing
