// Stock modules and functions of torch on Rowlane's kernels, and back.
#include "rowlane/aten.h"

#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

namespace F = torch::nn::functional;

// Torch's ops run on Rowlane's kernels until the end of a scope.
class Installed {
 public:
  Installed() { install_aten_kernels(); }
  ~Installed() { uninstall_aten_kernels(); }
  Installed(const Installed&) = delete;
  Installed& operator=(const Installed&) = delete;
};

// How often each op of Rowlane is called in a scope, by any thread.
class CallCounter {
 public:
  CallCounter() {
    calls().clear();
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction& call)
                                       -> std::unique_ptr<at::ObserverContext> {
          ++calls()[call.name()];
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
  }
  ~CallCounter() { at::removeCallback(handle_); }
  CallCounter(const CallCounter&) = delete;
  CallCounter& operator=(const CallCounter&) = delete;

  [[nodiscard]] int of(const std::string& op) const { return calls()[op]; }

 private:
  static std::map<std::string, int>& calls() {
    static std::map<std::string, int> counts;
    return counts;
  }
  at::CallbackHandle handle_{};
};

torch::Tensor some_indices(torch::ScalarType type = torch::kLong) {
  return torch::tensor({{3, 0, 3, 7}, {1, 7, 7, 2}}, type);
}

// What a look-up by torch's own function gives: rows, and the gradient of a weighted sum of them.
struct LookedUp {
  torch::Tensor rows;
  torch::Tensor grad;
  torch::Tensor weight;  // max_norm changes it
};

LookedUp look_up(torch::ScalarType dtype, const torch::Tensor& indices,
                 const F::EmbeddingFuncOptions& options) {
  torch::manual_seed(1);
  auto weight = torch::randint(-4, 5, {8, 3}).to(dtype).requires_grad_();
  auto rows = F::embedding(indices, weight, options);
  const auto factors = torch::arange(rows.numel()).reshape(rows.sizes()).remainder(5).to(dtype);
  (rows * factors).sum().backward();
  return {rows.detach(), weight.grad(), weight.detach()};
}

void expect_equal(const LookedUp& a, const LookedUp& b) {
  EXPECT_TRUE(bit_equal(a.rows, b.rows));
  EXPECT_TRUE(bit_equal(a.weight, b.weight));
  ASSERT_EQ(a.grad.is_sparse(), b.grad.is_sparse());
  if (a.grad.is_sparse()) {
    EXPECT_TRUE(bit_equal(a.grad._indices(), b.grad._indices()));
    EXPECT_TRUE(bit_equal(a.grad._values(), b.grad._values()));
  } else {
    EXPECT_TRUE(bit_equal(a.grad, b.grad));
  }
}

TEST(AtenKernels, GiveWhatTorchGives) {
  const std::vector<F::EmbeddingFuncOptions> all_options{
      F::EmbeddingFuncOptions(),
      F::EmbeddingFuncOptions().padding_idx(7),
      F::EmbeddingFuncOptions().padding_idx(-1),
      F::EmbeddingFuncOptions().sparse(true),
      F::EmbeddingFuncOptions().sparse(true).padding_idx(3),
  };
  for (const auto dtype : {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16}) {
    for (const auto index_type : {torch::kLong, torch::kInt}) {
      for (const auto& options : all_options) {
        const auto indices = some_indices(index_type);
        const LookedUp stock = look_up(dtype, indices, options);
        const Installed installed;
        expect_equal(look_up(dtype, indices, options), stock);
      }
    }
  }
}

TEST(AtenKernels, ScaleByFrequencyAndByNormAsTorchDoes) {
  for (const auto& options :
       {F::EmbeddingFuncOptions().scale_grad_by_freq(true), F::EmbeddingFuncOptions().max_norm(2.0),
        F::EmbeddingFuncOptions().max_norm(1.0).norm_type(1.0)}) {
    const LookedUp stock = look_up(torch::kDouble, some_indices(), options);
    const Installed installed;
    const LookedUp ours = look_up(torch::kDouble, some_indices(), options);
    EXPECT_TRUE(torch::allclose(ours.rows, stock.rows, 1e-12, 1e-12));
    EXPECT_TRUE(torch::allclose(ours.grad, stock.grad, 1e-12, 1e-12));
    EXPECT_TRUE(torch::allclose(ours.weight, stock.weight, 1e-12, 1e-12));
  }
}

TEST(AtenKernels, AreThoseOfRowlaneUntilTheyAreUninstalled) {
  const CallCounter counter;
  {
    const Installed installed;
    look_up(torch::kFloat, some_indices(), F::EmbeddingFuncOptions().max_norm(1.0));
    look_up(torch::kFloat, some_indices(), F::EmbeddingFuncOptions().sparse(true));
  }
  EXPECT_EQ(counter.of("rowlane::embedding"), 2);
  EXPECT_EQ(counter.of("rowlane::embedding_backward"), 1);
  EXPECT_GE(counter.of("rowlane::embedding_sparse_backward"), 1);
  EXPECT_EQ(counter.of("rowlane::embedding_renorm_"), 1);
  look_up(torch::kFloat, some_indices(), F::EmbeddingFuncOptions());
  EXPECT_EQ(counter.of("rowlane::embedding"), 2);
  EXPECT_EQ(counter.of("rowlane::embedding_backward"), 1);
}

TEST(AtenKernels, CanBeInstalledTwiceAndSayItOnce) {
  ::testing::internal::CaptureStderr();
  install_aten_kernels();
  install_aten_kernels();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::MatchesRegex(
                  "rowlane: torch's embedding ops run on Rowlane's kernels now .CPU(, CUDA)?.\n"));
  uninstall_aten_kernels();
  const CallCounter counter;
  look_up(torch::kFloat, some_indices(), F::EmbeddingFuncOptions());
  EXPECT_EQ(counter.of("rowlane::embedding"), 0);
  uninstall_aten_kernels();
}

TEST(AtenKernels, TrainAStockModule) {
  const auto train = [] {
    torch::manual_seed(3);
    torch::nn::Embedding table(torch::nn::EmbeddingOptions(8, 3).padding_idx(2));
    torch::nn::Linear head(3, 1);
    std::vector<torch::Tensor> parameters = head->parameters();
    parameters.push_back(table->weight);
    torch::optim::SGD optimizer(parameters, 0.1);
    for (int step = 0; step < 20; ++step) {
      optimizer.zero_grad();
      (head(table(some_indices())) - 1).pow(2).mean().backward();
      optimizer.step();
    }
    return table->weight.detach();
  };
  const auto stock = train();
  const Installed installed;
  const CallCounter counter;
  EXPECT_TRUE(torch::allclose(train(), stock, 1e-6, 1e-7));
  EXPECT_EQ(counter.of("rowlane::embedding_backward"), 20);
}

TEST(AtenKernels, KeepTorchsDerivatives) {
  const Installed installed;
  for (const bool sparse : {false, true}) {
    const auto weight = torch::randn({8, 3}, torch::kDouble).requires_grad_();
    const auto rows =
        F::embedding(some_indices(), weight, F::EmbeddingFuncOptions().sparse(sparse));
    const auto direction = torch::randn_like(rows).requires_grad_();
    const auto grad = torch::autograd::grad({rows}, {weight}, {direction},
                                            /*retain_graph=*/true, /*create_graph=*/true)[0];
    const auto factors = torch::randn({8, 3}, torch::kDouble);
    const auto second = torch::autograd::grad({(grad.to_dense() * factors).sum()}, {direction})[0];
    EXPECT_TRUE(torch::allclose(
        second, factors.index_select(0, some_indices().reshape(-1)).reshape(second.sizes())))
        << (sparse ? "sparse" : "dense");
  }
}

TEST(AtenKernels, NameTheIndexThatIsOutOfRange) {
  if (cpu_is_emulated_device()) {
    GTEST_SKIP() << "the CPU is the emulated device here, which reports at the next call";
  }
  const Installed installed;
  try {
    F::embedding(torch::tensor({1, 9}, torch::kLong), torch::zeros({8, 3}));
    FAIL() << "no error was thrown";
  } catch (const c10::IndexError& error) {
    EXPECT_STREQ(error.what_without_backtrace(),
                 "rowlane::embedding: index 9 at position 1 (indices[1]) is out of range: the "
                 "table has 8 rows");
  }
}

}  // namespace
}  // namespace rowlane::testing
