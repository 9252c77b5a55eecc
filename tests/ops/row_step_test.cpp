// Steps of optimizers on rows: every rule, dtype and shape against a reference in double.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/index_sets.h"
#include "tests/support/oracle.h"
#include "tests/support/parameters.h"
#include "tests/support/steps.h"

namespace rowlane::testing {
namespace {

constexpr std::int64_t kNumRows = 61;
constexpr std::int64_t kMaxIndices = 600;

double epsilon(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kDouble:
      return std::numeric_limits<double>::epsilon();
    case torch::kFloat:
      return std::numeric_limits<float>::epsilon();
    case torch::kHalf:
      return 0x1p-10;
    default:
      return 0x1p-7;
  }
}

torch::ScalarType accum_type(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
}

// Float, or double for double; of a 16-bit table its own dtype, too.
std::vector<torch::ScalarType> state_dtypes(torch::ScalarType dtype) {
  if (dtype == accum_type(dtype)) {
    return {dtype};
  }
  return {torch::kFloat, dtype};
}

// Multiples of 1/4 in [-1, 1]: sums of them are exact in any order.
torch::Tensor quarters(torch::IntArrayRef sizes, torch::ScalarType dtype) {
  return integers(sizes, dtype) / 4;
}

// The numbers of a step are of the order of 1, so that a few dozen roundings in the accumulation
// type and one to the dtype bound the error.
::testing::AssertionResult near_reference(const torch::Tensor& actual,
                                          const torch::Tensor& reference) {
  const auto dtype = actual.scalar_type();
  const auto error = (actual.detach().cpu().to(torch::kDouble) - reference).abs();
  const auto bound = 64 * epsilon(accum_type(dtype)) * (1 + reference.abs()) +
                     (dtype == accum_type(dtype) ? 0 : epsilon(dtype)) * reference.abs();
  if (error.le(bound).all().item<bool>()) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "off by up to " << error.max().item<double>() << ", by "
         << (error - bound).max().item<double>() << " more than rounding";
}

void expect_near_reference(const StepTensors& actual, const StepReference& reference) {
  EXPECT_TRUE(near_reference(actual.weight, reference.weight())) << "weight";
  for (std::size_t k = 0; k < actual.state.size(); ++k) {
    EXPECT_TRUE(near_reference(actual.state[k], reference.state()[k])) << "state " << k;
  }
}

void expect_same_bits(const StepTensors& actual, const StepTensors& expected) {
  EXPECT_TRUE(bit_equal(actual.weight, expected.weight)) << "weight";
  for (std::size_t k = 0; k < actual.state.size(); ++k) {
    EXPECT_TRUE(bit_equal(actual.state[k], expected.state[k])) << "state " << k;
  }
  if (actual.row_steps) {
    EXPECT_TRUE(bit_equal(*actual.row_steps, *expected.row_steps));
  }
  if (actual.master) {
    EXPECT_TRUE(bit_equal(*actual.master, *expected.master));
  }
}

// Rows in ascending order.
std::vector<std::int64_t> named_rows(const torch::Tensor& indices) {
  std::set<std::int64_t> rows;
  const auto flat = indices.cpu().to(torch::kLong).reshape(-1);
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    rows.insert(flat[i].item<std::int64_t>());
  }
  return {rows.begin(), rows.end()};
}

class RowStep : public ::testing::TestWithParam<Param> {};

TEST_P(RowStep, FollowsTheReference) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  const std::vector<IndexSet> sets =
      index_dtype == torch::kInt ? std::vector{IndexSet::kRunAcrossTileEdge, IndexSet::kLastRow}
                                 : std::vector{IndexSet::kZipf};
  for (const IndexSet set : sets) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices);
    const auto rows = named_rows(indices);
    const auto row_list = torch::tensor(rows, torch::kLong).to(device);
    const auto grad_output = quarters({indices.numel(), dim}, dtype);
    const auto sums = oracle_backward(grad_output, indices, kNumRows);
    for (const RuleCase& rule : rule_cases()) {
      for (const auto state_dtype : state_dtypes(dtype)) {
        SCOPED_TRACE(::testing::Message() << rule.name << " with state " << state_dtype);
        const StepTensors before = random_table(rule, kNumRows, dim, dtype, state_dtype);
        StepReference reference(before);
        for (const std::int64_t row : rows) {
          reference.step(row, sums[row], rule, static_cast<std::int64_t>(rule.numbers.step));
        }
        const StepTensors fused = before.clone().to(device);
        fused.embedding_step(grad_output.to(device), indices.to(device, index_dtype), rule);
        expect_near_reference(fused, reference);

        // In 16 bits, a row gradient is rounded once more.
        const auto values = sums.index_select(0, row_list.cpu()).to(dtype);
        if (values.to(torch::kDouble).equal(sums.index_select(0, row_list.cpu()))) {
          const StepTensors unfused = before.clone().to(device);
          unfused.row_step(row_list, values.to(device), rule);
          expect_same_bits(unfused, fused);
        }

        // No other row is touched.
        auto others = torch::ones({kNumRows}, torch::kBool);
        others.index_fill_(0, row_list.cpu(), false);
        const auto other_rows = others.nonzero().view(-1);
        const auto is_untouched = [&](const torch::Tensor& after, const torch::Tensor& was) {
          return bit_equal(after.cpu().index_select(0, other_rows),
                           was.index_select(0, other_rows));
        };
        EXPECT_TRUE(is_untouched(fused.weight, before.weight));
        for (std::size_t k = 0; k < before.state.size(); ++k) {
          EXPECT_TRUE(is_untouched(fused.state[k], before.state[k]));
        }
      }
    }
  }
}

TEST_P(RowStep, OfSgdIsExactOnIntegers) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  RuleCase rule = rule_case("Sgd");
  rule.numbers.lr = 0.5;
  for (const IndexSet set : kAllIndexSets) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices);
    const auto table = integers({kNumRows, dim}, dtype);
    const auto grad_output = integers({indices.numel(), dim}, dtype);
    const StepTensors actual{.weight = table.to(device).clone()};
    actual.embedding_step(grad_output.to(device), indices.to(device, index_dtype), rule);
    const auto sums = oracle_backward(grad_output, indices, kNumRows);
    EXPECT_TRUE(bit_equal(actual.weight, (table.to(torch::kDouble) - sums / 2).to(dtype)));
  }
}

INSTANTIATE_TEST_SUITE_P(AllSizes, RowStep,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::Values(torch::kFloat, torch::kDouble,
                                                              torch::kHalf, torch::kBFloat16),
                                            ::testing::Values(torch::kInt, torch::kLong),
                                            ::testing::Values<std::int64_t>(1, 2, 3, 4, 7, 8, 31,
                                                                            32, 33, 64, 100, 128,
                                                                            257)),
                         param_name);

class Steps : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override { torch::manual_seed(31); }

  [[nodiscard]] torch::Tensor on_device(const torch::Tensor& tensor) const {
    return tensor.to(GetParam());
  }
};

TEST_P(Steps, FusedAndUnfusedGiveTheSameBits) {
  struct Size {
    std::int64_t num_rows;
    std::int64_t num_indices;
  };
  // Of the second table every row is looked up hundreds of times.
  for (const auto [num_rows, num_indices] : {Size{3000, 500}, Size{40, 20000}}) {
    SCOPED_TRACE(num_rows);
    const auto indices = on_device(torch::randint(num_rows, {num_indices}, torch::kLong));
    const auto grad_output = on_device(torch::randn({num_indices, 33}));
    const auto gradient =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("rowlane::embedding_row_gradient", "")
            .typed<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt,
                                 std::optional<c10::SymInt>, bool, std::string_view)>()
            .call(grad_output, indices, num_rows, std::nullopt, false, "auto");
    for (const RuleCase& rule : rule_cases()) {
      SCOPED_TRACE(rule.name);
      const StepTensors fused =
          random_table(rule, num_rows, 33, torch::kFloat, torch::kFloat).to(GetParam());
      const StepTensors unfused = fused.clone();
      fused.embedding_step(grad_output, indices, rule);
      unfused.row_step(gradient._indices()[0], gradient._values(), rule);
      expect_same_bits(fused, unfused);
    }
  }
}

TEST_P(Steps, TakeTheRowsInAnyOrder) {
  const RuleCase rule = rule_case("Adam");
  const StepTensors ascending =
      random_table(rule, 9, 5, torch::kFloat, torch::kFloat).to(GetParam());
  const StepTensors shuffled = ascending.clone();
  const auto rows = on_device(torch::tensor({1, 4, 7}, torch::kLong));
  const auto order = on_device(torch::tensor({2, 0, 1}, torch::kLong));
  const auto values = on_device(torch::randn({3, 5}));
  ascending.row_step(rows, values, rule);
  shuffled.row_step(rows.index_select(0, order), values.index_select(0, order), rule);
  expect_same_bits(shuffled, ascending);
}

TEST_P(Steps, OfNothingChangeNothing) {
  for (const RuleCase& rule : rule_cases()) {
    SCOPED_TRACE(rule.name);
    const StepTensors before =
        random_table(rule, 6, 3, torch::kFloat, torch::kFloat).to(GetParam());
    const StepTensors after = before.clone();
    const auto none = on_device(torch::empty({0}, torch::kLong));
    after.embedding_step(on_device(torch::ones({0, 3})), none, rule);
    after.row_step(none, on_device(torch::ones({0, 3})), rule);
    after.embedding_step(on_device(torch::ones({2, 3})), on_device(torch::tensor({4, 4})), rule,
                         /*padding_idx=*/4);
    expect_same_bits(after, before);
  }
}

TEST_P(Steps, LeaveThePaddingAlone) {
  for (const RuleCase& rule : rule_cases()) {
    SCOPED_TRACE(rule.name);
    const StepTensors padded =
        random_table(rule, 6, 3, torch::kFloat, torch::kFloat).to(GetParam());
    const StepTensors before = padded.clone();
    const StepTensors expected = padded.clone();
    const auto grad_output = on_device(torch::randn({5, 3}));
    const auto indices = on_device(torch::tensor({2, 4, 0, 4, 2}, torch::kLong));
    padded.embedding_step(grad_output, indices, rule, /*padding_idx=*/4);
    const auto kept = on_device(torch::tensor({0, 2, 4}, torch::kLong));
    expected.embedding_step(grad_output.index_select(0, kept), indices.index_select(0, kept), rule);
    expect_same_bits(padded, expected);
    EXPECT_TRUE(bit_equal(padded.weight[4], before.weight[4]));
  }
}

TEST_P(Steps, DivideByTheCount) {
  const RuleCase rule = rule_case("Sgd");
  // A run of one entry, of three, and one that takes several chunks.
  const auto indices =
      torch::cat({torch::tensor({0, 1, 1, 1}, torch::kLong), torch::full({600}, 3, torch::kLong)});
  const auto grad_output = integers({604, 7}, torch::kFloat);
  const StepTensors actual{.weight = on_device(torch::zeros({5, 7}))};
  actual.embedding_step(on_device(grad_output), on_device(indices), rule, std::nullopt,
                        /*scale_grad_by_freq=*/true);
  const auto counts = torch::tensor({1, 3, 1, 600, 1}, torch::kDouble).unsqueeze(1);
  const auto expected = -0.1 * oracle_backward(grad_output, indices, 5) / counts;
  EXPECT_TRUE(near_reference(actual.weight, expected));
}

TEST_P(Steps, CountTheStepsOfEachRow) {
  for (const char* name : {"FirstMomentum", "Adam", "SparseAdam", "PartialRowWiseAdam", "Lamb"}) {
    SCOPED_TRACE(name);
    const RuleCase rule = rule_case(name);
    StepTensors tensors = random_table(rule, 300, 9, torch::kFloat, torch::kFloat);
    tensors.row_steps = torch::arange(300, torch::kLong);
    tensors.counts_rows = true;
    StepReference reference(tensors);
    const auto rows = torch::arange(0, 300, 3, torch::kLong);
    const auto values = quarters({100, 9}, torch::kFloat);
    for (std::int64_t i = 0; i < 100; ++i) {
      reference.step(3 * i, values[i].to(torch::kDouble), rule, 3 * i + 1);
    }
    const StepTensors actual = tensors.clone().to(GetParam());
    actual.row_step(on_device(rows), on_device(values), rule);
    expect_near_reference(actual, reference);
    auto expected_steps = torch::arange(300, torch::kLong);
    expected_steps.index_add_(0, rows, torch::ones_like(rows));
    EXPECT_TRUE(bit_equal(*actual.row_steps, expected_steps));
  }
}

TEST_P(Steps, WriteDownTheStepOfEachRow) {
  const RuleCase rule = rule_case("Adam");
  StepTensors tensors = random_table(rule, 6, 3, torch::kFloat, torch::kFloat).to(GetParam());
  const StepTensors without = tensors.clone();
  tensors.row_steps = on_device(torch::tensor({0, 4, 4, 2, 1, 3}, torch::kLong));
  const auto indices = on_device(torch::tensor({5, 1, 5}, torch::kInt));
  const auto grad_output = on_device(torch::randn({3, 3}));
  tensors.embedding_step(grad_output, indices, rule);
  without.embedding_step(grad_output, indices, rule);
  EXPECT_TRUE(bit_equal(*tensors.row_steps, torch::tensor({0, 5, 4, 2, 1, 5}, torch::kLong)));
  EXPECT_TRUE(bit_equal(tensors.weight, without.weight));
}

TEST_P(Steps, TakeGradientsOfAnyStrides) {
  const RuleCase rule = rule_case("Adagrad");
  const auto indices = on_device(torch::tensor({{5, 1, 5}, {0, 2, 1}}, torch::kLong));
  const auto grads = on_device(torch::randn({4, 3, 2}));
  for (const auto& grad_output :
       {grads.permute({2, 1, 0}), on_device(torch::ones({1})).expand({2, 3, 4}),
        on_device(torch::randn({2, 1, 4})).expand({2, 3, 4}),
        on_device(torch::randn({1, 3, 4})).expand({2, 3, 4})}) {
    const StepTensors strided =
        random_table(rule, 6, 4, torch::kFloat, torch::kFloat).to(GetParam());
    const StepTensors contiguous = strided.clone();
    strided.embedding_step(grad_output, indices, rule);
    contiguous.embedding_step(grad_output.contiguous(), indices, rule);
    expect_same_bits(strided, contiguous);
    const StepTensors transposed = contiguous.clone();
    transposed.embedding_step(grad_output.transpose(0, 1), indices.t(), rule);
    contiguous.embedding_step(grad_output.transpose(0, 1).contiguous(), indices.t().contiguous(),
                              rule);
    expect_same_bits(transposed, contiguous);
  }
}

TEST_P(Steps, OfTablesWithoutColumnsDoNothing) {
  const StepTensors tensors{.weight = on_device(torch::empty({3, 0}))};
  tensors.embedding_step(on_device(torch::empty({2, 0})), on_device(torch::tensor({0, 2})),
                         rule_case("Sgd"));
  tensors.row_step(on_device(torch::tensor({0, 2})), on_device(torch::empty({2, 0})),
                   rule_case("Sgd"));
  EXPECT_EQ(tensors.weight.sizes(), torch::IntArrayRef({3, 0}));
}

// The numbers of tables and shares differ; what is summed in one go does not.
TEST_P(Steps, GiveTheSameBitsForAnyNumberOfThreads) {
  const auto indices = torch::cat(
      {make_indices(IndexSet::kZipf, 4000, 9000), torch::full({3000}, 17, torch::kLong)});
  const auto grad_output = torch::randn({12000, 40});
  const int threads = torch::get_num_threads();
  for (const RuleCase& rule : rule_cases()) {
    SCOPED_TRACE(rule.name);
    const StepTensors before =
        random_table(rule, 4000, 40, torch::kFloat, torch::kFloat).to(GetParam());
    std::vector<StepTensors> results;
    for (const int n : {1, 2, 3}) {
      torch::set_num_threads(n);
      results.push_back(before.clone());
      results.back().embedding_step(on_device(grad_output), on_device(indices), rule);
    }
    torch::set_num_threads(threads);
    expect_same_bits(results[1], results[0]);
    expect_same_bits(results[2], results[0]);
  }
}

// 200 steps with repeats, some of one row and some of none, beside torch's optimizers on sparse
// gradients.
template <typename Optimizer>
void expect_steps_of_torch(torch::DeviceType device, RuleCase rule, Optimizer&& make_optimizer) {
  SCOPED_TRACE(rule.name);
  const auto table = torch::randn({50, 16}).div(10).to(device);
  const auto theirs = table.clone().requires_grad_();
  auto optimizer = make_optimizer(theirs);
  StepTensors ours{.weight = table.clone()};
  for (int k = 0; k < rule.num_states; ++k) {
    ours.state.push_back(torch::zeros_like(table));
  }
  for (std::int64_t step = 1; step <= 200; ++step) {
    const std::int64_t size = step % 7 == 0 ? 1 : (step % 11 == 0 ? 0 : 40);
    const auto indices = torch::randint(50, {size}, torch::kLong).to(device);
    const auto grad_output = torch::randn({size, 16}).div(10).to(device);
    rule.numbers.step = step;
    ours.embedding_step(grad_output, indices, rule);
    theirs.mutable_grad() = torch::embedding_sparse_backward(grad_output, indices, 50, -1, false);
    optimizer.step();
  }
  EXPECT_LE((ours.weight - theirs.detach()).abs().max().item<double>(), 1e-6);
}

TEST_P(Steps, AreThoseOfTorchOnSparseGradients) {
  RuleCase sgd = rule_case("Sgd");
  sgd.numbers.lr = 0.01;
  expect_steps_of_torch(GetParam(), sgd, [](const torch::Tensor& weight) {
    return torch::optim::SGD({weight}, torch::optim::SGDOptions(0.01));
  });
  RuleCase adagrad = rule_case("Adagrad");
  adagrad.numbers = {.lr = 0.1, .eps = 1e-10};
  expect_steps_of_torch(GetParam(), adagrad, [](const torch::Tensor& weight) {
    return torch::optim::Adagrad({weight}, torch::optim::AdagradOptions(0.1));
  });
}

// torch has SparseAdam in Python alone; this is its order of operations.
TEST_P(Steps, OfSparseAdamKeepTorchsState) {
  RuleCase rule = rule_case("SparseAdam");
  rule.numbers = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  const auto table = on_device(torch::randn({50, 16}));
  const StepTensors ours{.weight = table.clone(),
                         .state = {torch::zeros_like(table), torch::zeros_like(table)}};
  const StepTensors theirs = ours.clone();
  for (std::int64_t step = 1; step <= 200; ++step) {
    const auto rows = on_device(torch::randperm(50, torch::kLong).narrow(0, 0, 20));
    const auto grad = on_device(torch::randn({20, 16}));
    rule.numbers.step = step;
    ours.embedding_step(grad, rows, rule);
    const auto update = [&](const torch::Tensor& state, const torch::Tensor& target, double beta) {
      const auto old = state.index_select(0, rows);
      state.index_copy_(0, rows, target.sub(old).mul(1 - beta).add(old));
      return state.index_select(0, rows);
    };
    const auto m = update(theirs.state[0], grad, 0.9);
    const auto v = update(theirs.state[1], grad.pow(2), 0.999);
    const auto t = static_cast<double>(step);
    const double step_size = 1e-3 * std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t));
    theirs.weight.index_add_(0, rows, m.div(v.sqrt().add(1e-8)).mul(-step_size));
  }
  if (!runs_device_code(GetParam())) {
    EXPECT_TRUE(bit_equal(ours.state[0], theirs.state[0]));
    EXPECT_TRUE(bit_equal(ours.state[1], theirs.state[1]));
  }
  EXPECT_LE((ours.state[0] - theirs.state[0]).abs().max().item<double>(), 1e-6);
  EXPECT_LE((ours.state[1] - theirs.state[1]).abs().max().item<double>(), 1e-6);
  EXPECT_LE((ours.weight - theirs.weight).abs().max().item<double>(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Steps, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
