// Tables that somebody else writes to between steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <sstream>
#include <string>

#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "tests/optim/training.h"
#include "tests/support/oracle.h"

namespace rowlane::testing {
namespace {

using optim::RowOptions;
using optim::RowSemantics;
using ::testing::HasSubstr;

torch::Tensor new_numbers() {
  return torch::linspace(-1, 1, kNumRows * kDim).view({kNumRows, kDim});
}

struct Replacement {
  std::string name;
  std::function<void(torch::nn::Module& table, torch::Tensor& weight)> run;
};
void PrintTo(const Replacement& replacement, std::ostream* stream) { *stream << replacement.name; }

class Replaced : public ::testing::TestWithParam<Replacement> {};

TEST_P(Replaced, MissedStepsAreOfTheNumbersThatWereThere) {
  const auto options = torch::optim::SGDOptions(0.05).momentum(0.9);
  torch::nn::Embedding expected = make_torch_table(/*is_sparse=*/false);
  torch::optim::SGD theirs(expected->parameters(), options);
  nn::Embedding table = make_table();
  optim::SGD ours(table->parameters(), options,
                  RowOptions().semantics(RowSemantics::kDenseEquivalent));
  table->attach(ours);
  const auto batches = make_batches(20);
  const auto train_both = [&] {
    train([&](const torch::Tensor& indices) { return expected(indices); }, theirs, batches);
    train([&](const torch::Tensor& indices) { return table(indices); }, ours, batches);
  };
  train_both();
  GetParam().run(*expected, expected->weight);
  GetParam().run(*table, table->weight);
  EXPECT_TRUE(bit_equal(table(torch::arange(kNumRows)), expected->weight));
  train_both();
  ours.flush();
  EXPECT_TRUE(near(table->weight, expected->weight, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(
    , Replaced,
    ::testing::Values(
        Replacement{"Copied",
                    [](torch::nn::Module&, torch::Tensor& weight) {
                      const torch::NoGradGuard no_grad;
                      weight.copy_(new_numbers());
                    }},
        Replacement{"SetData", [](torch::nn::Module&,
                                  torch::Tensor& weight) { weight.set_data(new_numbers()); }},
        Replacement{"Loaded",
                    [](torch::nn::Module& module, torch::Tensor&) {
                      torch::nn::Embedding saved(kNumRows, kDim);
                      saved->weight.set_data(new_numbers());
                      std::stringstream stream;
                      torch::save(saved, stream);
                      torch::serialize::InputArchive archive;
                      archive.load_from(stream);
                      module.load(archive);
                    }},
        Replacement{"Reset",
                    [](torch::nn::Module& module, torch::Tensor&) {
                      torch::manual_seed(7);
                      if (auto* const ours = dynamic_cast<nn::EmbeddingImpl*>(&module)) {
                        ours->reset_parameters();
                      } else {
                        dynamic_cast<torch::nn::EmbeddingImpl&>(module).reset_parameters();
                      }
                    }}),
    [](const auto& info) { return info.param.name; });

TEST(ReplacedTable, CopiesInFloatFollowTheTable) {
  nn::Embedding table = make_table(torch::kBFloat16);
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5), RowOptions().master_weights(true));
  const auto step = [&] {
    sgd.zero_grad();
    table(torch::tensor({1})).sum().backward();
    sgd.step();
  };
  table->attach(sgd);
  step();
  {
    const torch::NoGradGuard no_grad;
    table->weight.fill_(8);
  }
  step();
  EXPECT_TRUE(bit_equal(table->weight[1], torch::full({kDim}, 7.5).to(torch::kBFloat16)));
}

TEST(Unfuse, UntiesAfterACatchUp) {
  nn::Embedding table = make_table();
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.1),
                   RowOptions().semantics(RowSemantics::kDenseEquivalent));
  table->fuse(adam);
  for (const std::int64_t row : {1, 2}) {
    table(torch::tensor({row})).sum().backward();
    adam.step();
  }
  table->unfuse();
  const auto unfused = table->weight.detach().clone();
  adam.flush();
  EXPECT_TRUE(bit_equal(table->weight, unfused));
  // Another tensor is nobody's business any more.
  table->weight = torch::zeros({kNumRows, kDim});
  EXPECT_TRUE(bit_equal(table(torch::tensor({1})), torch::zeros({1, kDim})));
}

// What DistributedDataParallel puts there.
class CountingHook : public torch::autograd::FunctionPostHook {
 public:
  torch::autograd::variable_list operator()(
      const torch::autograd::variable_list& outputs,
      const torch::autograd::variable_list& /*inputs*/) override {
    return outputs;
  }
};

TEST(AccumulationHooks, AreRefusedByAFusedTable) {
  nn::Embedding table = make_table();
  optim::SGD sgd(table->parameters(), optim::SGDOptions(0.5));
  table->fuse(sgd);
  const auto accumulator = torch::autograd::impl::grad_accumulator(table->weight);
  const auto key = accumulator->add_post_hook(std::make_unique<CountingHook>());
  EXPECT_THAT(message_of([&] { table(torch::tensor({1})); }),
              HasSubstr("a fused table has no gradient that DistributedDataParallel could sum"));
  accumulator->del_post_hook(key);
  EXPECT_NO_THROW(table(torch::tensor({1})).sum().backward());
}

TEST(AccumulationHooks, MakeEveryStepOneOfAllRows) {
  nn::Embedding table = make_table();
  optim::Adam adam(table->parameters(), optim::AdamOptions(0.1),
                   RowOptions().semantics(RowSemantics::kDenseEquivalent));
  table->attach(adam);
  const auto accumulator = torch::autograd::impl::grad_accumulator(table->weight);
  accumulator->add_post_hook(std::make_unique<CountingHook>());
  for (const std::int64_t row : {1, 2}) {
    adam.zero_grad();
    table(torch::tensor({row})).sum().backward();
    adam.step();
  }
  const auto stepped = table->weight.detach().clone();
  adam.flush();
  EXPECT_TRUE(bit_equal(table->weight, stepped));
}

}  // namespace
}  // namespace rowlane::testing
