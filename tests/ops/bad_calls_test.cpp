// Every mistake that a call can be refused for: what it says, and that nothing has changed.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/torch.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "rowlane/rowlane.h"
#include "tests/support/devices.h"

namespace rowlane::testing {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What the calls work on; each gets a fresh one.
struct Tensors {
  torch::Tensor table = torch::arange(10, torch::kFloat).view({5, 2});
  torch::Tensor trained = torch::arange(10, torch::kFloat).view({5, 2}).requires_grad_();
  torch::Tensor integers = torch::arange(10, torch::kLong).view({5, 2});
  torch::Tensor indices = torch::tensor({{0, 1, 1}, {2, 3, 4}}, torch::kLong);
  torch::Tensor bad = torch::tensor({{0, 1, 1}, {2, 5, 4}}, torch::kLong);
  torch::Tensor grad = torch::ones({2, 3, 2});

  [[nodiscard]] std::vector<torch::Tensor> all() const {
    return {table, trained, integers, indices, bad, grad};
  }
};

enum class Where : std::uint8_t {
  kEverywhere,
  kCpu,         // the CPU backend
  kDeviceCode,  // the emulated device
};

struct BadCall {
  const char* name;
  std::function<void(Tensors&)> call;
  const char* message;
  Where where = Where::kEverywhere;
};

EmbeddingFuncOptions options() { return {}; }

// Qualified, because torch's own function is found by its arguments.
void look_up(const torch::Tensor& weight, const torch::Tensor& indices,
             const EmbeddingFuncOptions& with = {}) {
  rowlane::embedding(weight, indices, with);
}

template <typename Signature>
c10::TypedOperatorHandle<Signature> op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

using Padding = std::optional<c10::SymInt>;

void look_up_op(const torch::Tensor& weight, const torch::Tensor& indices, const Padding& padding,
                std::string_view algorithm) {
  op<torch::Tensor(const torch::Tensor&, const torch::Tensor&, Padding, bool, bool, bool,
                   std::string_view)>("rowlane::embedding")
      .call(weight, indices, padding, false, false, false, algorithm);
}

struct BackwardOptions {
  Padding padding = std::nullopt;
  bool scale = false;
  std::string_view algorithm = "auto";
};

void summing_backward(const char* name, const torch::Tensor& grad, const torch::Tensor& indices,
                      std::int64_t num_rows, const BackwardOptions& with) {
  op<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt, Padding, bool,
                   std::string_view)>(name)
      .call(grad, indices, num_rows, with.padding, with.scale, with.algorithm);
}

void dense(const torch::Tensor& grad, const torch::Tensor& indices, std::int64_t num_rows,
           const BackwardOptions& with = {}) {
  summing_backward("rowlane::embedding_backward", grad, indices, num_rows, with);
}

void rows(const torch::Tensor& grad, const torch::Tensor& indices, std::int64_t num_rows,
          const BackwardOptions& with = {}) {
  summing_backward("rowlane::embedding_row_gradient", grad, indices, num_rows, with);
}

void entries(const torch::Tensor& grad, const torch::Tensor& indices, std::int64_t num_rows,
             const Padding& padding = {}) {
  op<torch::Tensor(const torch::Tensor&, const torch::Tensor&, c10::SymInt, Padding)>(
      "rowlane::embedding_sparse_backward")
      .call(grad, indices, num_rows, padding);
}

void renorm(const torch::Tensor& weight, const torch::Tensor& indices, double max_norm,
            double norm_type = 2) {
  op<void(const torch::Tensor&, const torch::Tensor&, double, double)>("rowlane::embedding_renorm_")
      .call(weight, indices, max_norm, norm_type);
}

void backward(const Tensors& t, const EmbeddingFuncOptions& with) {
  rowlane::embedding(t.trained, t.indices, with).sum().backward();
}

void with_tangent(const torch::Tensor& primal, const std::function<void(torch::Tensor)>& call) {
  struct Level {
    std::uint64_t index = torch::autograd::ForwardADLevel::get_next_idx();
    ~Level() { torch::autograd::ForwardADLevel::release_idx(index); }
  };
  const Level level;
  call(torch::_make_dual(primal, torch::ones_like(primal), static_cast<std::int64_t>(level.index)));
}

std::vector<BadCall> look_up_calls() {
  return {
      {"WeightOfOneDim", [](Tensors& t) { look_up(t.table[0], t.indices); },
       "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape [2]"},
      {"WeightOfThreeDims", [](Tensors& t) { look_up(t.table.unsqueeze(0), t.indices); },
       "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape "
       "[1, 5, 2]"},
      {"WeightOfNoDimWithPadding",
       [](Tensors& t) { look_up(t.table[0][0], t.indices, options().padding_idx(0)); },
       "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape []"},
      {"FloatIndices", [](Tensors& t) { look_up(t.table, t.grad); },
       "rowlane::embedding: indices must be int32 or int64, got Float"},
      {"ShortIndices", [](Tensors& t) { look_up(t.table, t.indices.to(torch::kShort)); },
       "rowlane::embedding: indices must be int32 or int64, got Short"},
      {"BoolIndices", [](Tensors& t) { look_up(t.table, t.indices.to(torch::kBool)); },
       "rowlane::embedding: indices must be int32 or int64, got Bool"},
      {"ByteIndices", [](Tensors& t) { look_up(t.table, t.indices.to(torch::kByte)); },
       "rowlane::embedding: indices must be int32 or int64, got Byte"},
      {"WeightOnAnotherDevice", [](Tensors& t) { look_up(t.table.to(torch::kMeta), t.indices); },
       "rowlane::embedding: weight and indices must be on the same device, got meta and cpu"},
      {"IndicesOnAnotherDevice", [](Tensors& t) { look_up(t.table, t.indices.to(torch::kMeta)); },
       "rowlane::embedding: weight and indices must be on the same device, got cpu and meta"},
      {"PaddingBehindTheTable",
       [](Tensors& t) { look_up(t.table, t.indices, options().padding_idx(5)); },
       "rowlane::embedding: padding_idx 5 is out of range for a table of 5 rows"},
      {"PaddingBeforeTheTable",
       [](Tensors& t) { look_up(t.table, t.indices, options().padding_idx(-6)); },
       "rowlane::embedding: padding_idx -6 is out of range for a table of 5 rows"},
      {"PaddingOfNoRows",
       [](Tensors& t) { look_up(t.table.narrow(0, 0, 0), t.indices, options().padding_idx(0)); },
       "rowlane::embedding: padding_idx 0 is out of range for a table of 0 rows"},
      {"PaddingOfTheOpDoesNotWrap",
       [](Tensors& t) { look_up_op(t.table, t.indices, c10::SymInt(-1), "auto"); },
       "rowlane::embedding: padding_idx -1 is out of range for a table of 5 rows"},
      {"UnknownAlgorithm", [](Tensors& t) { look_up_op(t.table, t.indices, std::nullopt, "fast"); },
       "rowlane::embedding: algorithm must be 'auto', 'atomic', 'sorted' or 'small', got 'fast'"},
      {"AlgorithmThatIsNone",
       [](Tensors& t) {
         look_up(t.table, t.indices, options().algorithm(static_cast<BackwardAlgorithm>(9)));
       },
       "rowlane::to_string: not a BackwardAlgorithm: 9"},
      {"AtomicOnTheCpu",
       [](Tensors& t) {
         look_up(t.table, t.indices, options().algorithm(BackwardAlgorithm::kAtomic));
       },
       "rowlane::embedding: algorithm 'atomic' exists only on a GPU; use 'auto' or 'sorted'",
       Where::kCpu},
      {"SmallOnTheCpu",
       [](Tensors& t) {
         look_up(t.table, t.indices, options().algorithm(BackwardAlgorithm::kSmall));
       },
       "rowlane::embedding: algorithm 'small' exists only on a GPU; use 'auto' or 'sorted'",
       Where::kCpu},
      {"TwoLayouts",
       [](Tensors& t) { look_up(t.table, t.indices, options().sparse(true).row_gradient(true)); },
       "rowlane::embedding: sparse and row_gradient are two layouts of the gradient, got both"},
      {"SparseByAnAlgorithm",
       [](Tensors& t) {
         look_up(t.table, t.indices, options().sparse(true).algorithm(BackwardAlgorithm::kSorted));
       },
       "rowlane::embedding: sparse gradients are not summed, so algorithm must be 'auto', got "
       "'sorted'"},
      {"RowGradientByAtomics",
       [](Tensors& t) {
         look_up(t.table, t.indices,
                 options().row_gradient(true).algorithm(BackwardAlgorithm::kAtomic));
       },
       "rowlane::embedding: algorithm must be 'auto' or 'sorted' for a row_gradient, got "
       "'atomic'"},
      {"RowGradientInOneLaunch",
       [](Tensors& t) {
         look_up(t.table, t.indices,
                 options().row_gradient(true).algorithm(BackwardAlgorithm::kSmall));
       },
       "rowlane::embedding: algorithm must be 'auto' or 'sorted' for a row_gradient, got 'small'"},
      {"IndexBehindTheTable", [](Tensors& t) { look_up(t.table, t.bad); },
       "rowlane::embedding: index 5 at position 4 (indices[1][1]) is out of range: the table has 5 "
       "rows",
       Where::kCpu},
      {"NegativeIndex", [](Tensors& t) { look_up(t.table, torch::tensor(-1, torch::kInt)); },
       "rowlane::embedding: index -1 at position 0 (indices) is out of range: the table has 5 "
       "rows",
       Where::kCpu},
      {"IndexOfNoRows",
       [](Tensors& t) { look_up(t.table.narrow(0, 0, 0), t.indices[0].narrow(0, 0, 1)); },
       "rowlane::embedding: index 0 at position 0 (indices[0]) is out of range: the table has 0 "
       "rows",
       Where::kCpu},
  };
}

std::vector<BadCall> max_norm_calls() {
  const auto with = [](double max_norm) { return options().max_norm(max_norm); };
  return {
      {"NegativeMaxNorm", [=](Tensors& t) { look_up(t.table, t.indices, with(-1)); },
       "rowlane::embedding: max_norm must not be negative, got -1"},
      {"MaxNormThatIsNoNumber", [=](Tensors& t) { look_up(t.table, t.indices, with(kNan)); },
       "rowlane::embedding: max_norm must not be negative, got nan"},
      {"NormTypeZero", [=](Tensors& t) { look_up(t.table, t.indices, with(1).norm_type(0)); },
       "rowlane::embedding: norm_type must be greater than 0, got 0"},
      {"NegativeNormType", [=](Tensors& t) { look_up(t.table, t.indices, with(1).norm_type(-2)); },
       "rowlane::embedding: norm_type must be greater than 0, got -2"},
      {"NormTypeMinusInfinity",
       [=](Tensors& t) { look_up(t.table, t.indices, with(1).norm_type(-kInfinity)); },
       "rowlane::embedding: norm_type must be greater than 0, got -inf"},
      {"NormTypeThatIsNoNumber",
       [=](Tensors& t) { look_up(t.table, t.indices, with(1).norm_type(kNan)); },
       "rowlane::embedding: norm_type must be greater than 0, got nan"},
      {"IntegersWithMaxNorm", [=](Tensors& t) { look_up(t.integers, t.indices, with(1)); },
       "rowlane::embedding: weight must be half, bfloat16, float or double, got Long"},
      {"WeightOfOneDimWithMaxNorm", [=](Tensors& t) { look_up(t.table[1], t.indices, with(1)); },
       "rowlane::embedding: 'weight' must be 2-D [num_embeddings, embedding_dim], got shape [2]"},
      {"OverlappingTable",
       [=](Tensors& t) {
         look_up(t.table[3].expand({5, 2}), t.indices, with(1));
       },
       "rowlane::embedding: weight must not overlap itself to be scaled to max_norm, got strides "
       "[0, 1]"},
      {"FloatIndicesWithMaxNorm", [=](Tensors& t) { look_up(t.table, t.grad, with(1)); },
       "rowlane::embedding: indices must be int32 or int64, got Float"},
      {"PaddingOutOfRangeWithMaxNorm",
       [=](Tensors& t) { look_up(t.table, t.indices, with(1).padding_idx(7)); },
       "rowlane::embedding: padding_idx 7 is out of range for a table of 5 rows"},
      {"TwoLayoutsWithMaxNorm",
       [=](Tensors& t) { look_up(t.table, t.indices, with(1).sparse(true).row_gradient(true)); },
       "rowlane::embedding: sparse and row_gradient are two layouts of the gradient, got both"},
      {"AtomicOnTheCpuWithMaxNorm",
       [=](Tensors& t) {
         look_up(t.trained, t.indices, with(1).algorithm(BackwardAlgorithm::kAtomic));
       },
       "rowlane::embedding: algorithm 'atomic' exists only on a GPU; use 'auto' or 'sorted'",
       Where::kCpu},
      {"IndexBehindTheTableWithMaxNorm", [=](Tensors& t) { look_up(t.trained, t.bad, with(1)); },
       "rowlane::embedding_renorm_: index 5 at position 4 (indices[1][1]) is out of range: the "
       "table has 5 rows",
       Where::kCpu},
      {"RenormOfATrainedTable", [](Tensors& t) { renorm(t.trained, t.indices, 1); },
       "rowlane::embedding_renorm_: weight requires a gradient, which scaling in place doesn't "
       "have; call it under torch::NoGradGuard, on weight.detach()"},
      {"RenormOfATangent",
       [](Tensors& t) {
         with_tangent(t.table, [&](const auto& dual) { renorm(dual, t.indices, 1); });
       },
       "rowlane::embedding_renorm_: weight has a tangent, which scaling in place doesn't have; "
       "call it on weight.detach()"},
      {"RenormToANegativeNorm", [](Tensors& t) { renorm(t.table, t.indices, -0.5); },
       "rowlane::embedding_renorm_: max_norm must not be negative, got -0.5"},
      {"RenormOfNormTypeZero", [](Tensors& t) { renorm(t.table, t.indices, 1, 0); },
       "rowlane::embedding_renorm_: norm_type must be greater than 0, got 0"},
      {"RenormOfIntegers", [](Tensors& t) { renorm(t.integers, t.indices, 1); },
       "rowlane::embedding_renorm_: weight must be half, bfloat16, float or double, got "
       "Long"},
      {"RenormByOtherDevicesIndices",
       [](Tensors& t) { renorm(t.table, t.indices.to(torch::kMeta), 1); },
       "rowlane::embedding_renorm_: weight and indices must be on the same device, got cpu and "
       "meta"},
  };
}

std::vector<BadCall> backward_calls() {
  return {
      {"NegativeRows", [](Tensors& t) { dense(t.grad, t.indices, -1); },
       "rowlane::embedding_backward: num_embeddings must not be negative, got -1"},
      {"NegativeRowsOfARowGradient", [](Tensors& t) { rows(t.grad, t.indices, -3); },
       "rowlane::embedding_row_gradient: num_embeddings must not be negative, got -3"},
      {"NegativeRowsOfASparseGradient", [](Tensors& t) { entries(t.grad, t.indices, -2); },
       "rowlane::embedding_sparse_backward: num_embeddings must not be negative, got -2"},
      {"BackwardsPaddingBehindTheTable",
       [](Tensors& t) { dense(t.grad, t.indices, 5, {.padding = c10::SymInt(5)}); },
       "rowlane::embedding_backward: padding_idx 5 is out of range for a table of 5 rows"},
      {"BackwardsPaddingDoesNotWrap",
       [](Tensors& t) { rows(t.grad, t.indices, 5, {.padding = c10::SymInt(-1)}); },
       "rowlane::embedding_row_gradient: padding_idx -1 is out of range for a table of 5 rows"},
      {"SparsePaddingBehindTheTable",
       [](Tensors& t) { entries(t.grad, t.indices, 5, c10::SymInt(6)); },
       "rowlane::embedding_sparse_backward: padding_idx 6 is out of range for a table of 5 rows"},
      {"GradientsWithoutColumns", [](Tensors& t) { dense(t.grad.select(2, 0), t.indices, 5); },
       "rowlane::embedding_backward: grad_output must have the shape of indices and one more dim, "
       "got [2, 3] and indices [2, 3]"},
      {"GradientsOfOtherIndices", [](Tensors& t) { rows(t.grad, t.indices.t(), 5); },
       "rowlane::embedding_row_gradient: grad_output must have the shape of indices and one more "
       "dim, got [2, 3, 2] and indices [3, 2]"},
      {"SparseGradientsOfOtherIndices", [](Tensors& t) { entries(t.grad, t.indices[0], 5); },
       "rowlane::embedding_sparse_backward: grad_output must have the shape of indices and one "
       "more dim, got [2, 3, 2] and indices [3]"},
      {"IntegerGradients", [](Tensors& t) { dense(t.grad.to(torch::kLong), t.indices, 5); },
       "rowlane::embedding_backward: grad_output must be half, bfloat16, float or double, "
       "got Long"},
      {"ComplexGradients", [](Tensors& t) { rows(t.grad.to(torch::kComplexFloat), t.indices, 5); },
       "rowlane::embedding_row_gradient: grad_output must be half, bfloat16, float or "
       "double, got ComplexFloat"},
      {"IntegerSparseGradients", [](Tensors& t) { entries(t.grad.to(torch::kInt), t.indices, 5); },
       "rowlane::embedding_sparse_backward: grad_output must be half, bfloat16, float or "
       "double, got Int"},
      {"BackwardOfFloatIndices", [](Tensors& t) { dense(t.grad, t.indices.to(torch::kFloat), 5); },
       "rowlane::embedding_backward: indices must be int32 or int64, got Float"},
      {"RowGradientOfShortIndices",
       [](Tensors& t) { rows(t.grad, t.indices.to(torch::kShort), 5); },
       "rowlane::embedding_row_gradient: indices must be int32 or int64, got Short"},
      {"BackwardOnAnotherDevice", [](Tensors& t) { dense(t.grad.to(torch::kMeta), t.indices, 5); },
       "rowlane::embedding_backward: grad_output and indices must be on the same device, got meta "
       "and cpu"},
      {"UnknownAlgorithmOfABackward",
       [](Tensors& t) { dense(t.grad, t.indices, 5, {.algorithm = "Sorted"}); },
       "rowlane::embedding_backward: algorithm must be 'auto', 'atomic', 'sorted' or 'small', got "
       "'Sorted'"},
      {"UnknownAlgorithmOfARowGradient",
       [](Tensors& t) { rows(t.grad, t.indices, 5, {.algorithm = ""}); },
       "rowlane::embedding_row_gradient: algorithm must be 'auto', 'atomic', 'sorted' or 'small', "
       "got ''"},
      {"BackwardsBadIndex", [](Tensors& t) { dense(t.grad, t.bad, 5); },
       "rowlane::embedding_backward: index 5 at position 4 (indices[1][1]) is out of range: the "
       "table has 5 rows",
       Where::kCpu},
      {"RowGradientsBadIndex", [](Tensors& t) { rows(t.grad, t.bad, 5); },
       "rowlane::embedding_row_gradient: index 5 at position 4 (indices[1][1]) is out of range: "
       "the table has 5 rows",
       Where::kCpu},
      {"SparseGradientsBadIndex", [](Tensors& t) { entries(t.grad, t.bad, 5); },
       "rowlane::embedding_sparse_backward: index 5 at position 4 (indices[1][1]) is out of range: "
       "the table has 5 rows",
       Where::kCpu},
      {"SparseScaledByFrequency",
       [](Tensors& t) { backward(t, options().sparse(true).scale_grad_by_freq(true)); },
       "rowlane::embedding_sparse_backward: sparse gradients are not summed, so "
       "scale_grad_by_freq must be false; row_gradient gives summed ones"},
      {"AtomicScaledByFrequency",
       [](Tensors& t) {
         backward(t, options().scale_grad_by_freq(true).algorithm(BackwardAlgorithm::kAtomic));
       },
       "rowlane::embedding_backward: the atomic algorithm makes neither row gradients nor "
       "gradients scaled by frequency",
       Where::kDeviceCode},
      {"AtomicRowGradient", [](Tensors& t) { rows(t.grad, t.indices, 5, {.algorithm = "atomic"}); },
       "rowlane::embedding_row_gradient: the atomic algorithm makes neither row gradients nor "
       "gradients scaled by frequency",
       Where::kDeviceCode},
      {"AtomicHalves",
       [](Tensors& t) { dense(t.grad.to(torch::kHalf), t.indices, 5, {.algorithm = "atomic"}); },
       "rowlane::embedding_backward: the atomic algorithm takes float32 and float64 gradients only",
       Where::kDeviceCode},
      {"AtomicBackwardOnTheCpu",
       [](Tensors& t) { dense(t.grad, t.indices, 5, {.algorithm = "atomic"}); },
       "rowlane::embedding_backward: algorithm 'atomic' exists only on a GPU; use 'auto' or "
       "'sorted'",
       Where::kCpu},
      {"AtomicRowGradientOnTheCpu",
       [](Tensors& t) { rows(t.grad, t.indices, 5, {.algorithm = "atomic"}); },
       "rowlane::embedding_row_gradient: algorithm 'atomic' exists only on a GPU; use 'auto' or "
       "'sorted'",
       Where::kCpu},
      {"TangentOfASparseGradient",
       [](Tensors& t) {
         with_tangent(t.grad, [&](const auto& dual) { entries(dual, t.indices, 5); });
       },
       "rowlane::embedding_sparse_backward: grad_output has a tangent, but a sparse gradient can't "
       "have one; forward-mode derivatives of a gradient need a dense one"},
      {"TangentOfARowGradient",
       [](Tensors& t) {
         with_tangent(t.grad, [&](const auto& dual) { rows(dual, t.indices, 5); });
       },
       "rowlane::embedding_row_gradient: grad_output has a tangent, but a sparse gradient can't "
       "have one; forward-mode derivatives of a gradient need a dense one"},
  };
}

std::vector<BadCall> module_calls() {
  using nn::Embedding;
  using nn::EmbeddingFromPretrainedOptions;
  using nn::EmbeddingOptions;
  return {
      {"ModuleOfNegativeRows", [](Tensors&) { const Embedding module(-1, 3); },
       "rowlane::nn::Embedding: num_embeddings and embedding_dim must not be negative, got -1 and "
       "3"},
      {"ModuleOfNegativeDim", [](Tensors&) { const Embedding module(2, -3); },
       "rowlane::nn::Embedding: num_embeddings and embedding_dim must not be negative, got 2 and "
       "-3"},
      {"ModulesPaddingBehindTheTable",
       [](Tensors&) { const Embedding module(EmbeddingOptions(4, 3).padding_idx(4)); },
       "rowlane::nn::Embedding: padding_idx 4 is out of range for a table of 4 rows"},
      {"ModulesPaddingBeforeTheTable",
       [](Tensors&) { const Embedding module(EmbeddingOptions(4, 3).padding_idx(-5)); },
       "rowlane::nn::Embedding: padding_idx -5 is out of range for a table of 4 rows"},
      {"ModulesNegativeMaxNorm",
       [](Tensors&) { const Embedding module(EmbeddingOptions(4, 3).max_norm(-1)); },
       "rowlane::nn::Embedding: max_norm must not be negative, got -1"},
      {"ModulesNormTypeZero",
       [](Tensors&) { const Embedding module(EmbeddingOptions(4, 3).max_norm(1).norm_type(0)); },
       "rowlane::nn::Embedding: norm_type must be greater than 0, got 0"},
      {"ModuleOfIntegers",
       [](Tensors&) { const Embedding module(EmbeddingOptions(4, 3).dtype(torch::kInt)); },
       "rowlane::nn::Embedding: dtype must be floating point or complex, got Int"},
      {"ModuleOfAnotherShape",
       [](Tensors& t) { const Embedding module(EmbeddingOptions(2, 5)._weight(t.table)); },
       "rowlane::nn::Embedding: _weight must have shape [2, 5], got [5, 2]"},
      {"PretrainedVector", [](Tensors& t) { Embedding::from_pretrained(t.table[0]); },
       "rowlane::nn::Embedding::from_pretrained: embeddings must be 2-D [num_embeddings, "
       "embedding_dim], got shape [2]"},
      {"TrainedIntegers",
       [](Tensors& t) {
         Embedding::from_pretrained(t.integers, EmbeddingFromPretrainedOptions().freeze(false));
       },
       "rowlane::nn::Embedding::from_pretrained: freeze must be true for embeddings that are "
       "neither floating point nor complex, got Long"},
      {"PretrainedPaddingOutOfRange",
       [](Tensors& t) {
         Embedding::from_pretrained(t.table, EmbeddingFromPretrainedOptions().padding_idx(5));
       },
       "rowlane::nn::Embedding: padding_idx 5 is out of range for a table of 5 rows"},
      {"FunctionalWithArgumentsSwapped",
       [](Tensors& t) { nn::functional::embedding(t.table, t.indices); },
       "rowlane::embedding: indices must be int32 or int64, got Float"},
  };
}

class BadCalls : public ::testing::TestWithParam<BadCall> {};

TEST_P(BadCalls, SayWhatIsWrongAndChangeNothing) {
  const BadCall& bad = GetParam();
  if (bad.where != Where::kEverywhere &&
      (bad.where == Where::kDeviceCode) != cpu_is_emulated_device()) {
    GTEST_SKIP() << "for the other of ops_test and ops_test_emulated";
  }
  Tensors tensors;
  std::vector<torch::Tensor> before;
  std::vector<std::uint32_t> versions;
  for (const auto& tensor : tensors.all()) {
    before.push_back(tensor.detach().clone());
    versions.push_back(tensor.unsafeGetTensorImpl()->version_counter().current_version());
  }
  try {
    bad.call(tensors);
    ADD_FAILURE() << "no error was thrown";
  } catch (const c10::Error& error) {
    EXPECT_EQ(std::string(error.what_without_backtrace()), bad.message);
  }
  const auto after = tensors.all();
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_TRUE(after[i].equal(before[i])) << "tensor " << i;
    EXPECT_EQ(after[i].unsafeGetTensorImpl()->version_counter().current_version(), versions[i])
        << "tensor " << i;
  }
  EXPECT_FALSE(tensors.trained.grad().defined());
}

std::string call_name(const ::testing::TestParamInfo<BadCall>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(LookUp, BadCalls, ::testing::ValuesIn(look_up_calls()), call_name);
INSTANTIATE_TEST_SUITE_P(MaxNorm, BadCalls, ::testing::ValuesIn(max_norm_calls()), call_name);
INSTANTIATE_TEST_SUITE_P(Backward, BadCalls, ::testing::ValuesIn(backward_calls()), call_name);
INSTANTIATE_TEST_SUITE_P(Module, BadCalls, ::testing::ValuesIn(module_calls()), call_name);

}  // namespace
}  // namespace rowlane::testing
