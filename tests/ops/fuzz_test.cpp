// Random calls of the C++ API: sizes, strides, types, indices and options. Each gives what a plain
// sum in double gives, or is refused and has changed nothing. The address sanitizer watches.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdlib>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "rowlane/embedding.h"
#include "tests/support/devices.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // A number from `low` to `high`.
  std::int64_t number(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(int percent) { return number(1, 100) <= percent; }
  template <typename T>
  T choice(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(
        number(0, static_cast<std::int64_t>(values.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

// The same values in another layout: transposed, every other element of a larger tensor, or from
// the middle of one.
torch::Tensor restrided(Random& random, const torch::Tensor& tensor) {
  switch (random.number(0, 3)) {
    case 0:
      return tensor.dim() > 1 ? tensor.transpose(0, -1).contiguous().transpose(0, -1) : tensor;
    case 1:
      return tensor.dim() > 0 ? torch::stack({tensor, tensor}, -1).select(-1, 1) : tensor;
    case 2:
      return torch::cat({torch::zeros({3}, tensor.options()), tensor.reshape(-1)})
          .narrow(0, 3, tensor.numel())
          .view(tensor.sizes());
    default:
      return tensor;
  }
}

struct Call {
  torch::Tensor weight;
  torch::Tensor indices;
  EmbeddingFuncOptions options;
  bool has_bad_index = false;

  [[nodiscard]] std::int64_t num_rows() const { return weight.size(0); }
  [[nodiscard]] bool is_refused() const {
    const bool scaled_entries = options.sparse() && options.scale_grad_by_freq();
    return has_bad_index || (options.sparse() && options.row_gradient()) || scaled_entries;
  }
};

Call draw_call(Random& random) {
  Call call;
  const std::int64_t num_rows = random.number(1, 40);
  const std::int64_t dim = random.chance(5) ? 0 : random.number(1, 70);
  const auto dtype = random.choice<torch::ScalarType>(
      {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16});
  call.weight = restrided(random, torch::randint(-3, 4, {num_rows, dim}).to(dtype));

  std::vector<std::int64_t> shape;
  for (std::int64_t d = random.number(0, 3); d > 0; --d) {
    shape.push_back(random.number(random.chance(5) ? 0 : 1, 6));
  }
  const auto index_type = random.choice<torch::ScalarType>({torch::kLong, torch::kInt});
  auto indices = torch::randint(num_rows, shape, torch::kLong);
  if (indices.numel() > 0 && random.chance(15)) {
    call.has_bad_index = true;
    indices.view(-1)[random.number(0, indices.numel() - 1)] =
        random.choice<std::int64_t>({-1, num_rows, 1 << 30, -(1 << 30)});
  }
  call.indices = restrided(random, indices.to(index_type));

  if (random.chance(30)) {
    call.options.padding_idx(random.number(-num_rows, num_rows - 1));
  }
  call.options.scale_grad_by_freq(random.chance(20));
  call.options.sparse(random.chance(20));
  call.options.row_gradient(random.chance(20));
  return call;
}

// The gradient of the table in double, with the same rounding of a scaled sum as in accumulators.
torch::Tensor expected_gradient(const Call& call, const torch::Tensor& grad_rows) {
  const auto rows = call.indices.reshape(-1).to(torch::kLong);
  auto grads = grad_rows.reshape({rows.numel(), call.weight.size(1)}).to(torch::kDouble);
  auto sums = torch::zeros(call.weight.sizes(), torch::kDouble).index_add(0, rows, grads);
  if (call.options.scale_grad_by_freq()) {
    const auto counts = torch::bincount(rows, {}, call.num_rows()).clamp_min(1);
    sums = sums / counts.unsqueeze(1);
  }
  if (call.options.padding_idx().has_value()) {
    sums[*call.options.padding_idx()].zero_();
  }
  return sums;
}

void expect_right(Random& random, const Call& call) {
  auto weight = call.weight.detach().requires_grad_();
  const auto rows = rowlane::embedding(weight, call.indices, call.options);
  const auto expected =
      call.weight.index_select(0, call.indices.reshape(-1).to(torch::kLong)).view(rows.sizes());
  ASSERT_TRUE(bit_equal(rows.detach(), expected));

  auto direction = torch::randint(-2, 3, rows.sizes()).to(rows.scalar_type());
  direction = random.chance(20) && rows.dim() > 0
                  ? torch::ones({}, rows.options().requires_grad(false)).expand(rows.sizes())
                  : restrided(random, direction);
  const auto grad = torch::autograd::grad({rows}, {weight}, {direction})[0];
  EXPECT_EQ(grad.is_sparse(), call.options.sparse() || call.options.row_gradient());
  const auto difference =
      (grad.to_dense().to(torch::kDouble) - expected_gradient(call, direction)).abs();
  const double unit = call.weight.scalar_type() == torch::kBFloat16 ? 0x1p-7
                      : call.weight.scalar_type() == torch::kHalf   ? 0x1p-10
                                                                    : 0x1p-22;
  const double tolerance = call.options.scale_grad_by_freq() ? 3 * unit : 0;
  if (difference.numel() > 0 && !call.options.sparse()) {
    EXPECT_LE(difference.max().item<double>(), tolerance);
  }
}

void expect_refused(const Call& call) {
  const auto before = call.weight.clone();
  auto weight = call.weight.detach().requires_grad_();
  EXPECT_THROW(
      {
        const auto rows = rowlane::embedding(weight, call.indices, call.options);
        torch::autograd::grad({rows.sum()}, {weight});
      },
      c10::Error);
  EXPECT_TRUE(bit_equal(call.weight, before));
}

std::string describe(const Call& call) {
  std::ostringstream text;
  text << "weight " << call.weight.toString() << call.weight.sizes() << " strides "
       << call.weight.strides() << ", indices " << call.indices.toString() << call.indices.sizes()
       << " strides " << call.indices.strides() << ", padding_idx "
       << call.options.padding_idx().value_or(-1000) << ", scaled "
       << call.options.scale_grad_by_freq() << ", sparse " << call.options.sparse()
       << ", row_gradient " << call.options.row_gradient();
  return text.str();
}

// ROWLANE_FUZZ_CALLS and ROWLANE_FUZZ_SEED make it longer and other.
std::int64_t from_environment(const char* name, std::int64_t otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoll(value, nullptr, 10);
}

TEST(Fuzz, RandomCallsAreRightOrRefused) {
  if (cpu_is_emulated_device()) {
    GTEST_SKIP() << "device code reports a bad index at a later call";
  }
  const std::int64_t seed = from_environment("ROWLANE_FUZZ_SEED", 1);
  const std::int64_t num_calls = from_environment("ROWLANE_FUZZ_CALLS", 3000);
  std::int64_t num_refused = 0;
  for (std::int64_t i = 0; i < num_calls && !HasFailure(); ++i) {
    Random random(static_cast<std::uint64_t>(seed * 1'000'003 + i));
    torch::manual_seed(seed + i);
    const Call call = draw_call(random);
    SCOPED_TRACE(::testing::Message()
                 << "ROWLANE_FUZZ_SEED=" << seed << ", call " << i << ": " << describe(call));
    num_refused += static_cast<std::int64_t>(call.is_refused());
    if (call.is_refused()) {
      expect_refused(call);
    } else {
      expect_right(random, call);
    }
  }
  EXPECT_GT(num_refused, num_calls / 10);
  EXPECT_LT(num_refused, num_calls / 2);
}

}  // namespace
}  // namespace rowlane::testing
