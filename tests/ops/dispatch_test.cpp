// How the ops are registered: by name, for which devices, and without data.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <stack>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

c10::OperatorHandle op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
}

std::string schema(const char* name) {
  std::ostringstream text;
  text << op(name).schema();
  return text.str();
}

TEST(Dispatch, SchemasAreWhatTheDocumentationSays) {
  EXPECT_EQ(schema("rowlane::embedding"),
            "rowlane::embedding(Tensor weight, Tensor indices, SymInt? padding_idx=None, bool "
            "scale_grad_by_freq=False, bool sparse=False, bool row_gradient=False, str "
            "algorithm=\"auto\") -> Tensor");
  EXPECT_EQ(schema("rowlane::embedding_backward"),
            "rowlane::embedding_backward(Tensor grad_output, Tensor indices, SymInt "
            "num_embeddings, SymInt? padding_idx=None, bool scale_grad_by_freq=False, str "
            "algorithm=\"auto\") -> Tensor");
  EXPECT_EQ(schema("rowlane::embedding_sparse_backward"),
            "rowlane::embedding_sparse_backward(Tensor grad_output, Tensor indices, SymInt "
            "num_embeddings, SymInt? padding_idx=None) -> Tensor");
  EXPECT_EQ(schema("rowlane::embedding_row_gradient"),
            "rowlane::embedding_row_gradient(Tensor grad_output, Tensor indices, SymInt "
            "num_embeddings, SymInt? padding_idx=None, bool scale_grad_by_freq=False, str "
            "algorithm=\"auto\") -> Tensor");
  EXPECT_EQ(schema("rowlane::embedding_renorm_"),
            "rowlane::embedding_renorm_(Tensor(a!) weight, Tensor indices, float max_norm, float "
            "norm_type=2.) -> ()");
}

TEST(Dispatch, EveryOpHasEveryKernel) {
  for (const char* name :
       {"rowlane::embedding", "rowlane::embedding_backward", "rowlane::embedding_sparse_backward",
        "rowlane::embedding_row_gradient", "rowlane::embedding_renorm_"}) {
    for (const auto key :
         {c10::DispatchKey::CPU, c10::DispatchKey::Meta, c10::DispatchKey::Autograd}) {
      EXPECT_TRUE(op(name).hasKernelForDispatchKey(key)) << name << " " << key;
    }
#ifdef ROWLANE_TEST_CUDA
    EXPECT_NE(op(name).hasKernelForDispatchKey(c10::DispatchKey::CUDA), cpu_is_emulated_device())
        << name;
#endif
  }
}

TEST(Dispatch, BoxedCallsTakeDefaults) {
  const auto table = torch::randn({4, 3});
  const auto indices = torch::tensor({3, 1}, torch::kLong);
  torch::jit::Stack stack{table, indices, c10::IValue(), false, false, false, "auto"};
  op("rowlane::embedding").callBoxed(&stack);
  ASSERT_EQ(stack.size(), 1);
  EXPECT_TRUE(bit_equal(stack[0].toTensor(), table.index_select(0, indices)));
}

TEST(Dispatch, MetaTensorsGiveShapesWithoutData) {
  const auto options = torch::TensorOptions(torch::kMeta);
  const auto weight = torch::empty({1 << 20, 64}, options.dtype(torch::kBFloat16)).requires_grad_();
  const auto indices = torch::empty({8, 128}, options.dtype(torch::kInt));
  const auto rows = rowlane::embedding(weight, indices);
  EXPECT_TRUE(rows.is_meta());
  EXPECT_EQ(rows.sizes(), torch::IntArrayRef({8, 128, 64}));
  EXPECT_EQ(rows.scalar_type(), torch::kBFloat16);
  const auto grad = torch::autograd::grad({rows}, {weight}, {torch::empty_like(rows)})[0];
  EXPECT_EQ(grad.sizes(), weight.sizes());
  EXPECT_EQ(grad.scalar_type(), torch::kBFloat16);
}

TEST(Dispatch, MetaTensorsGiveSparseGradients) {
  const auto options = torch::TensorOptions(torch::kMeta);
  const auto weight = torch::empty({20, 4}, options).requires_grad_();
  const auto indices = torch::empty({3, 2}, options.dtype(torch::kInt));
  for (const bool row_gradient : {false, true}) {
    const auto rows = rowlane::embedding(
        weight, indices, EmbeddingFuncOptions().sparse(!row_gradient).row_gradient(row_gradient));
    const auto grad = torch::autograd::grad({rows}, {weight}, {torch::empty_like(rows)})[0];
    EXPECT_TRUE(grad.is_meta());
    EXPECT_EQ(grad.layout(), torch::kSparse);
    EXPECT_EQ(grad.is_coalesced(), row_gradient);
    EXPECT_EQ(grad.sizes(), weight.sizes());
    EXPECT_EQ(grad.scalar_type(), torch::kFloat);
    EXPECT_EQ(grad._values().sizes(), torch::IntArrayRef({6, 4}));
  }
}

TEST(Dispatch, InferenceModeWorks) {
  const c10::InferenceMode inference;
  const auto table = torch::randn({4, 3});
  const auto indices = torch::tensor({3, 1}, torch::kLong);
  EXPECT_TRUE(bit_equal(rowlane::embedding(table, indices), table.index_select(0, indices)));
}

TEST(AlgorithmNames, RoundTrip) {
  EXPECT_EQ(to_string(BackwardAlgorithm::kAuto), "auto");
  EXPECT_EQ(to_string(BackwardAlgorithm::kAtomic), "atomic");
  EXPECT_EQ(to_string(BackwardAlgorithm::kSorted), "sorted");
  EXPECT_EQ(to_string(BackwardAlgorithm::kSmall), "small");
}

}  // namespace
}  // namespace rowlane::testing
