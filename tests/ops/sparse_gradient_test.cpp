// Gradients as COO tensors: torch's layout, and the row gradient.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <tuple>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"
#include "tests/support/index_sets.h"
#include "tests/support/oracle.h"
#include "tests/support/parameters.h"

namespace rowlane::testing {
namespace {

constexpr std::int64_t kNumRows = 61;
constexpr std::int64_t kMaxIndices = 600;

namespace F = torch::nn::functional;

EmbeddingFuncOptions sparse() { return EmbeddingFuncOptions().sparse(true); }
EmbeddingFuncOptions row_gradient() { return EmbeddingFuncOptions().row_gradient(true); }

torch::Tensor gradient(const torch::Tensor& table, const torch::Tensor& indices,
                       const torch::Tensor& grad_output, const EmbeddingFuncOptions& options) {
  const auto weight = table.detach().requires_grad_();
  return torch::autograd::grad({rowlane::embedding(weight, indices, options)}, {weight},
                               {grad_output})[0];
}

::testing::AssertionResult same_entries(const torch::Tensor& actual,
                                        const torch::Tensor& expected) {
  if (auto rows = bit_equal(actual._indices(), expected._indices()); !rows) {
    return rows << " (indices)";
  }
  return bit_equal(actual._values(), expected._values());
}

// The rows in `indices`, ascending and without `padding`, and their sums in double.
torch::Tensor oracle_row_gradient(const torch::Tensor& grad_output, const torch::Tensor& indices,
                                  std::optional<std::int64_t> padding, bool scale) {
  auto dense = oracle_backward(grad_output, indices, kNumRows, padding);
  const auto flat = indices.to(torch::kCPU, torch::kLong).reshape(-1);
  auto counts = torch::bincount(flat, {}, kNumRows);
  if (padding) {
    counts[*padding] = 0;
  }
  if (scale) {
    dense /= counts.clamp_min(1).unsqueeze(1);
  }
  const auto rows = counts.nonzero().view(-1);
  return torch::sparse_coo_tensor(rows.unsqueeze(0), dense.index_select(0, rows), dense.sizes());
}

class CooMatrix : public ::testing::TestWithParam<Param> {};

TEST_P(CooMatrix, SparseGradientsHaveTorchsEntriesInTorchsOrder) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  const auto table = torch::zeros({kNumRows, dim}, torch::dtype(dtype).device(device));
  for (const IndexSet set : kAllIndexSets) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices).to(device, index_dtype);
    const auto grad_output = torch::randn({indices.numel(), dim}).to(device, dtype);
    for (const std::optional<std::int64_t>& padding :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(kNumRows - 1),
          std::optional<std::int64_t>(0)}) {
      const auto weight = table.detach().requires_grad_();
      const auto theirs = torch::autograd::grad(
          {F::embedding(indices, weight,
                        F::EmbeddingFuncOptions().sparse(true).padding_idx(padding))},
          {weight}, {grad_output})[0];
      const auto mine = gradient(table, indices, grad_output, sparse().padding_idx(padding));
      EXPECT_EQ(mine.layout(), torch::kSparse);
      EXPECT_EQ(mine.sizes(), table.sizes());
      EXPECT_EQ(mine.is_coalesced(), theirs.is_coalesced());
      EXPECT_TRUE(same_entries(mine, theirs));
    }
  }
}

TEST_P(CooMatrix, RowGradientsHaveOneExactSumPerRowInOrder) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  const auto table = torch::zeros({kNumRows, dim}, torch::dtype(dtype).device(device));
  for (const IndexSet set : kAllIndexSets) {
    SCOPED_TRACE(to_string(set));
    const auto indices = make_indices(set, kNumRows, kMaxIndices);
    const auto grad_output = integers({indices.numel(), dim}, dtype);
    for (const std::optional<std::int64_t>& padding :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(kNumRows - 1)}) {
      const auto expected = oracle_row_gradient(grad_output, indices, padding, /*scale=*/false);
      const auto mine = gradient(table, indices.to(device, index_dtype), grad_output.to(device),
                                 row_gradient().padding_idx(padding));
      EXPECT_TRUE(mine.is_coalesced());
      EXPECT_EQ(mine.sizes(), table.sizes());
      EXPECT_EQ(mine._indices().scalar_type(), torch::kLong);
      EXPECT_TRUE(bit_equal(mine._indices(), expected._indices()));
      EXPECT_TRUE(bit_equal(mine._values(), expected._values().to(dtype)));
    }
  }
}

TEST_P(CooMatrix, RowGradientsScaledByFrequencyAreMeans) {
  const auto [device, dtype, index_dtype, dim] = GetParam();
  const auto table = torch::zeros({kNumRows, dim}, torch::dtype(dtype).device(device));
  const auto indices = make_indices(IndexSet::kZipf, kNumRows, kMaxIndices);
  const auto grad_output = integers({indices.numel(), dim}, dtype);
  const auto expected = oracle_row_gradient(grad_output, indices, 3, /*scale=*/true);
  const auto mine = gradient(table, indices.to(device, index_dtype), grad_output.to(device),
                             row_gradient().padding_idx(3).scale_grad_by_freq(true));
  EXPECT_TRUE(bit_equal(mine._indices(), expected._indices()));
  // Exact sums, and one division in the accumulation type.
  const auto accum = dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
  EXPECT_TRUE(mine._values().cpu().allclose(expected._values().to(accum).to(dtype), 0, 0));
}

INSTANTIATE_TEST_SUITE_P(AllSizes, CooMatrix,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::Values(torch::kFloat, torch::kDouble,
                                                              torch::kHalf, torch::kBFloat16),
                                            ::testing::Values(torch::kInt, torch::kLong),
                                            ::testing::Values<std::int64_t>(1, 3, 8, 33, 128)),
                         param_name);

class Coo : public ::testing::TestWithParam<torch::DeviceType> {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    table = torch::randn({5, 3}, torch::dtype(torch::kDouble).device(GetParam()));
    indices = torch::tensor({{1, 2, 2}, {4, 0, 2}}, torch::kLong).to(GetParam());
  }

  // Two backward passes; the second look-up reads other rows.
  torch::Tensor accumulated(const EmbeddingFuncOptions& options) {
    const auto weight = table.clone().requires_grad_();
    rowlane::embedding(weight, indices, options).sum().backward();
    rowlane::embedding(weight, indices[0], options).pow(2).sum().backward();
    return weight.grad();
  }

  torch::Tensor table;
  torch::Tensor indices;
};

TEST_P(Coo, PaddingOnlyAndNothingGiveNoEntries) {
  for (const auto& options : {sparse().padding_idx(2), row_gradient().padding_idx(2)}) {
    for (const auto& few :
         {torch::full({2, 2}, 2, torch::kLong), torch::empty({0}, torch::kLong)}) {
      const auto grad = gradient(table, few.to(GetParam()),
                                 torch::ones({few.numel(), 3}, table.options()).reshape([&] {
                                   auto sizes = few.sizes().vec();
                                   sizes.push_back(3);
                                   return sizes;
                                 }()),
                                 options);
      EXPECT_EQ(grad._indices().sizes(), torch::IntArrayRef({1, 0}));
      EXPECT_EQ(grad._values().sizes(), torch::IntArrayRef({0, 3}));
      EXPECT_EQ(grad.to_dense().abs().sum().item<double>(), 0);
    }
  }
}

TEST_P(Coo, EmptyTablesGiveEmptyGradients) {
  const auto none = torch::empty({0}, torch::dtype(torch::kLong).device(GetParam()));
  for (const auto& options : {sparse(), row_gradient()}) {
    const auto no_rows = torch::empty({0, 3}, table.options());
    EXPECT_EQ(gradient(no_rows, none, torch::empty({0, 3}, table.options()), options).sizes(),
              torch::IntArrayRef({0, 3}));
    const auto no_columns = torch::empty({5, 0}, table.options());
    EXPECT_EQ(gradient(no_columns, indices, torch::empty({2, 3, 0}, table.options()), options)
                  .to_dense()
                  .sizes(),
              torch::IntArrayRef({5, 0}));
  }
}

TEST_P(Coo, TwoBackwardsAccumulate) {
  const auto dense = accumulated({});
  EXPECT_TRUE(accumulated(sparse()).to_dense().allclose(dense));
  const auto rows = accumulated(row_gradient());
  EXPECT_TRUE(rows.is_coalesced());
  EXPECT_TRUE(rows.to_dense().allclose(dense));
}

TEST_P(Coo, RowGradientIsStillCoalescedInTheParameter) {
  const auto weight = table.clone().requires_grad_();
  rowlane::embedding(weight, indices, row_gradient()).sum().backward();
  EXPECT_TRUE(weight.grad().is_coalesced());
  EXPECT_EQ(weight.grad()._nnz(), 4);
}

// As when the table is the input's and the output's: autograd adds the two row gradients up.
TEST_P(Coo, RowGradientsOfTwoLookUpsInOnePassAreCoalesced) {
  const auto weight = table.clone().requires_grad_();
  const auto twice = [&](const EmbeddingFuncOptions& options) {
    weight.mutable_grad() = torch::Tensor();
    (rowlane::embedding(weight, indices, options).pow(2).sum() +
     rowlane::embedding(weight, indices[1], options).sum())
        .backward();
    return weight.grad();
  };
  const auto rows = twice(row_gradient());
  EXPECT_TRUE(rows.is_coalesced());
  EXPECT_EQ(rows._nnz(), 4);
  EXPECT_TRUE(rows.to_dense().allclose(twice({})));
}

// A gradient that isn't the row gradient itself isn't taken for one.
TEST_P(Coo, ASparseGradientThatWasAddedToStaysUncoalesced) {
  const auto weight = table.clone().requires_grad_();
  rowlane::embedding(weight, indices, sparse()).sum().backward();
  rowlane::embedding(weight, indices, row_gradient()).sum().backward();
  EXPECT_FALSE(weight.grad().is_coalesced());
  const auto both = weight.grad().to_dense();
  weight.mutable_grad() = torch::Tensor();
  rowlane::embedding(weight, indices).sum().backward();
  EXPECT_TRUE(both.allclose(2 * weight.grad()));
}

// Values that share memory with the incoming gradient would change with it.
TEST_P(Coo, ValuesAreACopy) {
  const auto weight = table.clone().requires_grad_();
  for (const auto& options : {sparse(), sparse().padding_idx(0), row_gradient()}) {
    const auto rows = rowlane::embedding(weight, indices, options);
    const auto incoming = torch::ones_like(rows);
    const auto grad = torch::autograd::grad({rows}, {weight}, {incoming})[0];
    const auto before = grad.to_dense();
    incoming.fill_(7);
    indices.add_(0);
    EXPECT_TRUE(bit_equal(grad.to_dense(), before));
  }
  const auto rows = rowlane::embedding(weight, indices, sparse());
  const auto grad = torch::autograd::grad({rows}, {weight}, {torch::ones_like(rows)})[0];
  EXPECT_FALSE(grad._indices().is_alias_of(indices));
}

TEST_P(Coo, ExpandedAndStridedGradientsGiveTheSameEntries) {
  const auto base = torch::randn({6, 4, 3}, table.options());
  for (const auto& grad_output :
       {torch::ones({1}, table.options()).expand({2, 3, 3}), base.slice(0, 0, 6, 3).narrow(1, 1, 3),
        base.permute({2, 1, 0}).narrow(0, 0, 2).narrow(1, 0, 3).narrow(2, 0, 3)}) {
    for (const auto& options : {sparse(), sparse().padding_idx(4), row_gradient()}) {
      EXPECT_TRUE(same_entries(gradient(table, indices.t().t(), grad_output, options),
                               gradient(table, indices, grad_output.contiguous(), options)));
    }
  }
}

// In torch's layout two gradients of the same indices are joined, not added entry by entry.
TEST_P(Coo, ExpandedGradientsTakeTheMemoryOfOneRowAndJoin) {
  const auto incoming = torch::randn({3}, table.options());
  for (const auto& grad_output : {incoming.expand({2, 3, 3}), incoming[0].expand({2, 3, 3})}) {
    const auto weight = table.clone().requires_grad_();
    const auto grad = gradient(table, indices, grad_output, sparse());
    const auto looked_up = F::embedding(indices, weight, F::EmbeddingFuncOptions().sparse(true));
    const auto theirs = torch::autograd::grad({looked_up}, {weight}, {grad_output})[0];
    EXPECT_TRUE(same_entries(grad, theirs));
    EXPECT_FALSE(grad._values().is_alias_of(grad_output));
    if (!runs_device_code(GetParam())) {
      EXPECT_EQ(grad._values().strides(), theirs._values().strides());
      EXPECT_LE(grad._values().storage().nbytes(), std::size_t{3 * 8});
    }
    for (int pass = 0; pass < 2; ++pass) {
      rowlane::embedding(weight, indices, sparse()).backward(grad_output);
    }
    if (!runs_device_code(GetParam())) {
      EXPECT_EQ(weight.grad()._nnz(), 12);
    }
    EXPECT_TRUE(weight.grad().to_dense().allclose(2 * grad.to_dense()));
  }
}

TEST_P(Coo, SecondDerivativePassesGradcheck) {
  for (const auto& options :
       {sparse(), sparse().padding_idx(2), row_gradient(), row_gradient().padding_idx(2),
        row_gradient().padding_idx(2).scale_grad_by_freq(true)}) {
    const auto gradient_of = [&](const torch::Tensor& incoming) {
      const torch::AutoGradMode with_grad(true);
      const auto weight = table.detach().requires_grad_();
      return torch::autograd::grad({rowlane::embedding(weight, indices, options)}, {weight},
                                   {incoming}, /*retain_graph=*/true,
                                   /*create_graph=*/true)[0]
          .to_dense();
    };
    EXPECT_TRUE(gradcheck_reverse(gradient_of, torch::randn({2, 3, 3}, table.options())));
  }
}

TEST_P(Coo, TorchsOptimizersTakeBothLayouts) {
  const auto trained = [&](auto&& make_optimizer, const EmbeddingFuncOptions& options) {
    const auto weight = table.clone().requires_grad_();
    auto optimizer = make_optimizer(weight);
    for (int step = 0; step < 3; ++step) {
      optimizer->zero_grad();
      rowlane::embedding(weight, indices, options).pow(2).sum().backward();
      optimizer->step();
    }
    return weight.detach();
  };
  const auto sgd = [](const torch::Tensor& weight) {
    return std::make_unique<torch::optim::SGD>(std::vector{weight}, /*lr=*/0.1);
  };
  const auto adagrad = [](const torch::Tensor& weight) {
    return std::make_unique<torch::optim::Adagrad>(std::vector{weight},
                                                   torch::optim::AdagradOptions(0.1));
  };
  EXPECT_TRUE(trained(sgd, sparse()).allclose(trained(sgd, {})));
  EXPECT_TRUE(trained(sgd, row_gradient()).allclose(trained(sgd, {})));
  EXPECT_TRUE(trained(adagrad, sparse()).allclose(trained(adagrad, {})));
  EXPECT_TRUE(trained(adagrad, row_gradient()).allclose(trained(adagrad, {})));
  EXPECT_FALSE(trained(sgd, {}).allclose(table));
}

TEST_P(Coo, RowGradientSumsSixteenBitGradientsInFloat) {
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    const auto grad =
        gradient(torch::zeros({3, 5}, torch::dtype(dtype).device(GetParam())),
                 torch::ones({4096}, torch::dtype(torch::kLong).device(GetParam())),
                 torch::ones({4096, 5}, torch::dtype(dtype).device(GetParam())), row_gradient());
    EXPECT_EQ(grad._values().min().item<float>(), 4096);
  }
}

INSTANTIATE_TEST_SUITE_P(AllDevices, Coo, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return torch::DeviceTypeName(info.param); });

}  // namespace
}  // namespace rowlane::testing
