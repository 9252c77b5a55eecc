// What a user reads after a mistake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <thread>
#include <vector>

#include "rowlane/embedding.h"
#include "rowlane/index_errors.h"
#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using ::testing::HasSubstr;

// The message of the ErrorT that `call` throws; a test failure if it throws none.
template <typename ErrorT, typename Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const ErrorT& error) {
    return error.what_without_backtrace();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

torch::Tensor call_backward(const torch::Tensor& grad_output, const torch::Tensor& indices,
                            std::int64_t num_rows, std::optional<c10::SymInt> padding_idx = {},
                            std::string_view algorithm = "auto") {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("rowlane::embedding_backward", "")
          .typed<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt,
                               std::optional<c10::SymInt>, bool, std::string_view)>();
  return op.call(grad_output, indices, num_rows, std::move(padding_idx),
                 /*scale_grad_by_freq=*/false, algorithm);
}

torch::Tensor call_row_gradient(const torch::Tensor& grad_output, const torch::Tensor& indices,
                                std::int64_t num_rows,
                                std::optional<c10::SymInt> padding_idx = {}) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("rowlane::embedding_row_gradient", "")
          .typed<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt,
                               std::optional<c10::SymInt>, bool, std::string_view)>();
  return op.call(grad_output, indices, num_rows, std::move(padding_idx), false, "auto");
}

// The CPU backend checks every index; device code reads nothing and goes on.
class IndexErrorOnCpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cpu_is_emulated_device()) {
      GTEST_SKIP() << "the CPU is the emulated device here";
    }
  }
};

TEST_F(IndexErrorOnCpu, NamesPositionValueAndRows) {
  const auto table = torch::randn({5, 2});
  const auto indices = torch::tensor({{0, 1, 2, 3}, {4, 0, 7, -1}}, torch::kLong);
  EXPECT_EQ(message_of<c10::IndexError>([&] { rowlane::embedding(table, indices); }),
            "rowlane::embedding: index 7 at position 6 (indices[1][2]) is out of range: the table "
            "has 5 rows");
}

TEST_F(IndexErrorOnCpu, NegativeIndicesDoNotWrap) {
  const auto indices = torch::tensor({1, -1}, torch::kInt);
  EXPECT_EQ(message_of<c10::IndexError>([&] {
              rowlane::embedding(torch::randn({5, 2}), indices);
            }),
            "rowlane::embedding: index -1 at position 1 (indices[1]) is out of range: the table "
            "has 5 rows");
}

TEST_F(IndexErrorOnCpu, ScalarIndexHasNoCoordinates) {
  EXPECT_THAT(message_of<c10::IndexError>([] {
                rowlane::embedding(torch::randn({5, 2}), torch::tensor(5, torch::kLong));
              }),
              HasSubstr("index 5 at position 0 (indices) is out of range"));
}

TEST_F(IndexErrorOnCpu, ExtremeValuesAreRefused) {
  for (const std::int64_t index :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(),
        std::int64_t{1} << 32}) {
    EXPECT_THROW(rowlane::embedding(torch::randn({5, 2}), torch::full({3}, index, torch::kLong)),
                 c10::IndexError);
  }
}

TEST_F(IndexErrorOnCpu, FirstOfManyIsNamedWhateverTheThreads) {
  auto indices = torch::zeros({1 << 20}, torch::kLong);
  indices.slice(0, 300'000).fill_(9);
  EXPECT_THAT(message_of<c10::IndexError>([&] {
                rowlane::embedding(torch::randn({9, 1}), indices);
              }),
              HasSubstr("index 9 at position 300000 (indices[300000])"));
}

TEST_F(IndexErrorOnCpu, BackwardRefusesTooAndHasItsOwnName) {
  EXPECT_EQ(message_of<c10::IndexError>([] {
              call_backward(torch::randn({2, 3}), torch::tensor({0, 4}, torch::kLong), 4);
            }),
            "rowlane::embedding_backward: index 4 at position 1 (indices[1]) is out of range: the "
            "table has 4 rows");
}

TEST_F(IndexErrorOnCpu, EmptyTableHasNoValidIndex) {
  EXPECT_THROW(rowlane::embedding(torch::empty({0, 2}), torch::zeros({1}, torch::kLong)),
               c10::IndexError);
}

class BadIndexInDeviceCode : public ::testing::Test {
 protected:
  void SetUp() override {
    if (device() == torch::kCUDA && !torch::cuda::is_available()) {
      GTEST_SKIP() << "torch sees no GPU; ops_test_emulated runs this on the emulated device";
    }
  }
  static torch::DeviceType device() {
    return cpu_is_emulated_device() ? torch::kCPU : torch::kCUDA;
  }
  static torch::Tensor table(std::int64_t num_rows) { return torch::ones({num_rows, 3}, device()); }
  static torch::Tensor indices(const std::vector<std::int64_t>& values) {
    return torch::tensor(values, torch::kLong).to(device());
  }
};

TEST_F(BadIndexInDeviceCode, ReadsNothingAndAddsToNothing) {
  set_index_errors(IndexErrors::kOff);
  const auto options = torch::dtype(torch::kFloat).device(device());
  const auto weight = torch::ones({4, 3}, options).requires_grad_();
  const auto indices = torch::tensor({1, 4, -1, 1 << 30}, torch::kInt).to(device());
  for (const auto algorithm : {BackwardAlgorithm::kSorted, BackwardAlgorithm::kAtomic}) {
    const auto rows =
        rowlane::embedding(weight, indices, EmbeddingFuncOptions().algorithm(algorithm));
    EXPECT_EQ(rows.sum().item<float>(), 3);
    const auto grad = torch::autograd::grad({rows.sum()}, {weight})[0];
    EXPECT_EQ(grad.sum().item<float>(), 3);
    EXPECT_EQ(grad[1].sum().item<float>(), 3);
  }
  EXPECT_NO_THROW(synchronize());
  set_index_errors(IndexErrors::kDeferred);
}

TEST_F(BadIndexInDeviceCode, IsRaisedByTheNextCallOnce) {
  EXPECT_NO_THROW(rowlane::embedding(table(4), indices({0, 1, 9, 2})));
  EXPECT_EQ(message_of<c10::IndexError>([&] { rowlane::embedding(table(5), indices({0})); }),
            "rowlane::embedding: index 9 at position 2 is out of range: the table has 4 rows");
  EXPECT_NO_THROW(rowlane::embedding(table(5), indices({0})));
}

TEST_F(BadIndexInDeviceCode, IsRaisedBySynchronizeWithHowManyThereWere) {
  rowlane::embedding(table(4), indices({-7, 0, -7, 3, -7}));
  EXPECT_THAT(message_of<c10::IndexError>([] { synchronize(); }),
              ::testing::MatchesRegex("rowlane::embedding: index -7 at position [024] is out of "
                                      "range: the table has 4 rows, and so are 2 more"));
  EXPECT_NO_THROW(synchronize());
}

TEST_F(BadIndexInDeviceCode, IsRaisedForEachOpInItsTurn) {
  {
    const auto weight = table(4).requires_grad_();
    const auto rows = rowlane::embedding(weight, indices({4}));
    EXPECT_THROW(torch::autograd::grad({rows.sum()}, {weight}), c10::IndexError);
  }
  call_backward(table(2), indices({0, 6}), 4);
  EXPECT_EQ(message_of<c10::IndexError>([&] { rowlane::embedding(table(4), indices({8})); }),
            "rowlane::embedding_backward: index 6 at position 1 is out of range: the table has 4 "
            "rows");
  EXPECT_NO_THROW(synchronize());  // the call that raised did nothing else
}

TEST_F(BadIndexInDeviceCode, IsRaisedAtOnceInCheckedMode) {
  const IndexErrorsGuard guard(IndexErrors::kChecked);
  EXPECT_EQ(message_of<c10::IndexError>([&] {
              rowlane::embedding(table(4), indices({0, 4}));
            }),
            "rowlane::embedding: index 4 at position 1 is out of range: the table has 4 rows");
  EXPECT_THROW(call_backward(table(1), indices({-1}), 4), c10::IndexError);
  EXPECT_NO_THROW(synchronize());
}

TEST(IndexErrorModes, ComeFromTheEnvironment) {
  const char* const mode = std::getenv("ROWLANE_INDEX_ERRORS");
  if (mode == nullptr) {
    GTEST_SKIP() << "ROWLANE_INDEX_ERRORS is not set; ctest runs this once more with it";
  }
  EXPECT_EQ(to_string(index_errors()), mode);
}

TEST(IndexErrorModes, BelongToTheProcessAndWithinAGuardToTheThread) {
  EXPECT_EQ(index_errors(), IndexErrors::kDeferred);
  {
    const IndexErrorsGuard outer(IndexErrors::kOff);
    {
      const IndexErrorsGuard inner(IndexErrors::kChecked);
      EXPECT_EQ(to_string(index_errors()), "checked");
    }
    EXPECT_EQ(to_string(index_errors()), "off");
    std::thread([] { EXPECT_EQ(to_string(index_errors()), "deferred"); }).join();
  }
  EXPECT_EQ(index_errors(), IndexErrors::kDeferred);
}

TEST_F(BadIndexInDeviceCode, IsInNoSparseGradientAndScalesNothing) {
  set_index_errors(IndexErrors::kOff);
  const auto weight = table(4).requires_grad_();
  const auto indices = torch::tensor({1, 4, -1, 1 << 30}, torch::kInt).to(device());
  for (const auto& options :
       {EmbeddingFuncOptions().sparse(true), EmbeddingFuncOptions().sparse(true).padding_idx(2),
        EmbeddingFuncOptions().row_gradient(true),
        EmbeddingFuncOptions().row_gradient(true).scale_grad_by_freq(true)}) {
    const auto grad =
        torch::autograd::grad({rowlane::embedding(weight, indices, options).sum()}, {weight})[0];
    const auto rows = grad._indices();
    EXPECT_TRUE(rows.ge(0).logical_and(rows.lt(4)).all().item<bool>());
    EXPECT_EQ(grad.to_dense().sum().item<float>(), 3);
    EXPECT_EQ(grad.to_dense()[1].sum().item<float>(), 3);
  }
  rowlane::embedding(weight, indices, EmbeddingFuncOptions().max_norm(3).norm_type(0.5));
  EXPECT_EQ(weight.detach().ne(1).sum().item<std::int64_t>(), 3);
  EXPECT_NEAR(weight[1].sum().item<float>(), 1, 1e-6);  // a norm of 9, before
  set_index_errors(IndexErrors::kDeferred);
}

TEST_F(BadIndexInDeviceCode, IsRaisedByMaxNormAndRowGradientsToo) {
  EXPECT_EQ(message_of<c10::IndexError>([&] {
              rowlane::embedding(table(4), indices({0, 5}), EmbeddingFuncOptions().max_norm(1));
              synchronize();
            }),
            "rowlane::embedding_renorm_: index 5 at position 1 is out of range: the table has 4 "
            "rows");
  call_row_gradient(table(3), indices({0, 1, -3}), 4, 3);
  EXPECT_EQ(message_of<c10::IndexError>([] { synchronize(); }),
            "rowlane::embedding_row_gradient: index -3 at position 2 is out of range: the table "
            "has 4 rows");
}

TEST(AtomicAlgorithm, IsRefusedForSixteenBitGradientsAndInDeterministicMode) {
  if (!cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU has no atomic algorithm; ops_test_emulated runs this";
  }
  const auto indices = torch::zeros({3}, torch::kLong);
  EXPECT_THAT(
      message_of<c10::Error>([&] {
        call_backward(torch::zeros({3, 2}, torch::kHalf), indices, 5, std::nullopt, "atomic");
      }),
      HasSubstr("the atomic algorithm takes float32 and float64 gradients only"));
  at::globalContext().setDeterministicAlgorithms(true, false);
  EXPECT_THAT(message_of<c10::Error>([&] {
                call_backward(torch::zeros({3, 2}), indices, 5, std::nullopt, "atomic");
              }),
              HasSubstr("rowlane::embedding_backward with algorithm 'atomic'"));
  at::globalContext().setDeterministicAlgorithms(false, false);
}

TEST(ArgumentErrors, SayWhatWasWrongAndWhatWasGot) {
  const auto table = torch::randn({5, 2});
  const auto indices = torch::zeros({3}, torch::kLong);
  const auto bad_type = [&](torch::ScalarType type) {
    return message_of<c10::TypeError>([&] { rowlane::embedding(table, torch::zeros({3}, type)); });
  };
  EXPECT_EQ(bad_type(torch::kFloat),
            "rowlane::embedding: indices must be int32 or int64, got Float");
  EXPECT_EQ(bad_type(torch::kShort),
            "rowlane::embedding: indices must be int32 or int64, got Short");
  EXPECT_EQ(
      message_of<c10::Error>([&] { rowlane::embedding(torch::randn({5}), indices); }),
      "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape [5]");
  EXPECT_EQ(message_of<c10::Error>([&] {
              rowlane::embedding(torch::randn({5, 2, 1}), indices);
            }),
            "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape "
            "[5, 2, 1]");
  EXPECT_EQ(message_of<c10::ValueError>(
                [&] { rowlane::embedding(table, indices, EmbeddingFuncOptions().padding_idx(5)); }),
            "rowlane::embedding: padding_idx 5 is out of range for a table of 5 rows");
  EXPECT_EQ(message_of<c10::ValueError>([&] {
              rowlane::embedding(table, indices, EmbeddingFuncOptions().padding_idx(-6));
            }),
            "rowlane::embedding: padding_idx -6 is out of range for a table of 5 rows");
  EXPECT_EQ(message_of<c10::Error>([&] {
              call_backward(torch::randn({2, 3}), indices, 5);
            }),
            "rowlane::embedding_backward: grad_output must have the shape of indices and one more "
            "dim, got [2, 3] and indices [3]");
  EXPECT_EQ(message_of<c10::TypeError>([&] {
              call_backward(torch::zeros({3, 2}, torch::kLong), indices, 5);
            }),
            "rowlane::embedding_backward: grad_output must be half, bfloat16, float or "
            "double, got Long");
  EXPECT_EQ(message_of<c10::ValueError>([&] {
              call_backward(torch::randn({3, 2}), indices, 5, std::nullopt, "fast");
            }),
            "rowlane::embedding_backward: algorithm must be 'auto', 'atomic', 'sorted' or 'small', "
            "got 'fast'");
}

TEST(SmallAlgorithm, IsRefusedForManyIndices) {
  if (!cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU has no small algorithm; ops_test_emulated runs this";
  }
  EXPECT_THAT(message_of<c10::Error>([&] {
                call_backward(torch::zeros({2049, 2}), torch::zeros({2049}, torch::kLong), 5,
                              std::nullopt, "small");
              }),
              HasSubstr("rowlane::embedding_backward: the small algorithm makes dense gradients of "
                        "at most 2048 indices"));
}

TEST(AlgorithmFromTheEnvironment, StandsForAuto) {
  if (!cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU has one algorithm; ops_test_emulated runs this";
  }
  const auto indices = torch::zeros({3}, torch::kLong);
  const auto half = torch::zeros({3, 2}, torch::kHalf);
  ASSERT_EQ(setenv("ROWLANE_BACKWARD", "atomic", 1), 0);
  EXPECT_THAT(message_of<c10::Error>([&] { call_backward(half, indices, 5); }),
              HasSubstr("the atomic algorithm takes float32 and float64 gradients only"));
  EXPECT_NO_THROW(call_backward(half, indices, 5, std::nullopt, "sorted"));
  ASSERT_EQ(setenv("ROWLANE_BACKWARD", "fast", 1), 0);
  EXPECT_THAT(message_of<c10::ValueError>([&] { call_backward(half, indices, 5); }),
              HasSubstr("ROWLANE_BACKWARD: algorithm must be 'auto', 'atomic', 'sorted' or "
                        "'small', got 'fast'"));
  ASSERT_EQ(unsetenv("ROWLANE_BACKWARD"), 0);
}

TEST(TuningFile, OfAnotherDeviceIsNotUsedAndSaysSo) {
  const char* const file = std::getenv("ROWLANE_TUNING");
  if (!cpu_is_emulated_device() || file == nullptr) {
    GTEST_SKIP() << "ctest runs this in ops_test_emulated with ROWLANE_TUNING";
  }
  class Warnings : public c10::WarningHandler {
   public:
    void process(const c10::Warning& warning) override { text += warning.msg(); }
    std::string text;
  } warnings;
  const c10::WarningUtils::WarningHandlerGuard guard(&warnings);
  call_backward(torch::zeros({3, 2}), torch::zeros({3}, torch::kLong), 5);
  EXPECT_EQ(warnings.text, "rowlane: ROWLANE_TUNING=" + std::string(file) +
                               " is not used: it is for the device 'another', not for 'h100'");
}

TEST(ArgumentErrors, AtomicIsRefusedOnTheCpu) {
  if (cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU is the emulated device here";
  }
  EXPECT_EQ(message_of<c10::ValueError>([] {
              rowlane::embedding(torch::randn({5, 2}), torch::zeros({3}, torch::kLong),
                                 EmbeddingFuncOptions().algorithm(BackwardAlgorithm::kAtomic));
            }),
            "rowlane::embedding: algorithm 'atomic' exists only on a GPU; use 'auto' or 'sorted'");
}

TEST(ArgumentErrors, DevicesMustMatch) {
  const auto meta = torch::empty({5, 2}, torch::kMeta);
  EXPECT_THAT(
      message_of<c10::Error>([&] { rowlane::embedding(meta, torch::zeros({3}, torch::kLong)); }),
      HasSubstr("weight and indices must be on the same device, got meta and cpu"));
}

TEST_F(IndexErrorOnCpu, NothingIsWrittenByARefusedCall) {
  const auto weight = torch::randn({5, 2}).requires_grad_();
  const auto before = weight.detach().clone();
  EXPECT_THROW(rowlane::embedding(weight, torch::tensor({0, 5}, torch::kLong)), c10::IndexError);
  EXPECT_TRUE(bit_equal(weight, before));
  EXPECT_FALSE(weight.grad().defined());
}

}  // namespace
}  // namespace rowlane::testing
