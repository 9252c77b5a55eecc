// A training that was interrupted ends in the same bits.
#include "examples/support/checkpoint.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "examples/support/fastai_adam.h"
#include "examples/support/fastai_init.h"

namespace rowlane::examples {
namespace {

struct SmallModel : torch::nn::Module {
  explicit SmallModel(std::int64_t num_rows = 7) {
    table = register_module("table", fastai_embedding(num_rows, 3));
    layer = register_module("layer", torch::nn::Linear(3, 2));
    norm = register_module("norm", torch::nn::BatchNorm1d(2));
  }
  at::Tensor forward(const at::Tensor& indices) { return norm(layer(table(indices))); }

  nn::Embedding table{nullptr};
  torch::nn::Linear layer{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
};

// Random indices and gradients, so the generator's state matters, too.
void train(SmallModel& model, FastaiAdam& optimizer, int num_steps) {
  for (int step = 0; step < num_steps; ++step) {
    const at::Tensor output = model.forward(torch::randint(7, {16}, at::kLong));
    optimizer.zero_grad();
    (output * torch::randn({16, 2})).sum().backward();
    optimizer.step(0.1, 0.9);
  }
}

class CheckpointTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      ("rowlane_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

template <typename Error, typename Function>
std::string message_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(CheckpointTest, GoesOnAsIfNeverInterrupted) {
  torch::manual_seed(3);
  SmallModel whole;
  FastaiAdam whole_optimizer(whole, 0.1);
  train(whole, whole_optimizer, 3);
  save_checkpoint(path_, whole, whole_optimizer, 3);
  train(whole, whole_optimizer, 4);

  torch::manual_seed(99);
  SmallModel resumed;
  FastaiAdam resumed_optimizer(resumed, 0.1);
  EXPECT_EQ(load_checkpoint(path_, resumed, resumed_optimizer), 3);
  train(resumed, resumed_optimizer, 4);

  for (const auto& parameter : whole.named_parameters()) {
    EXPECT_TRUE(at::equal(parameter.value(), resumed.named_parameters()[parameter.key()]))
        << parameter.key();
  }
  for (const auto& buffer : whole.named_buffers()) {
    EXPECT_TRUE(at::equal(buffer.value(), resumed.named_buffers()[buffer.key()])) << buffer.key();
  }
}

TEST_F(CheckpointTest, IsKeptAndResumedWhenTheOptionsSaySo) {
  CommonOptions options;
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  keep_training(options, model, optimizer, 1);
  EXPECT_FALSE(std::filesystem::exists(path_));
  options.checkpoint_path = path_;
  keep_training(options, model, optimizer, 2);
  const at::Tensor saved = model.table->weight.detach().clone();
  train(model, optimizer, 1);
  EXPECT_EQ(resume_training(options, model, optimizer), 0);
  EXPECT_FALSE(at::equal(model.table->weight, saved));
  options.resume = true;
  EXPECT_EQ(resume_training(options, model, optimizer), 2);
  EXPECT_TRUE(at::equal(model.table->weight, saved));
}

TEST_F(CheckpointTest, IsOfOneTraining) {
  CommonOptions options;
  require_one_training(options, false, "one model");
  options.checkpoint_path = path_;
  require_one_training(options, true, "one model");
  EXPECT_EQ(
      message_of<std::invalid_argument>([&] { require_one_training(options, false, "one model"); }),
      "--checkpoint is for one model");
}

TEST_F(CheckpointTest, StaysWholeWhenTheNextCannotBeWritten) {
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  save_checkpoint(path_, model, optimizer, 1);
  // Where the next one is written before it takes the place of this one.
  const std::filesystem::path part = path_.string() + ".part";
  std::filesystem::create_directory(part);
  EXPECT_NE(message_of<std::runtime_error>([&] { save_checkpoint(path_, model, optimizer, 2); }),
            "no error");
  std::filesystem::remove(part);
  EXPECT_EQ(load_checkpoint(path_, model, optimizer), 1);
}

TEST_F(CheckpointTest, RefusesTablesOfOtherSizes) {
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  save_checkpoint(path_, model, optimizer, 1);
  SmallModel larger(8);
  FastaiAdam larger_optimizer(larger, 0.1);
  EXPECT_EQ(
      message_of<std::runtime_error>([&] { load_checkpoint(path_, larger, larger_optimizer); }),
      path_.string() + " is a checkpoint of tables of other sizes");
}

TEST_F(CheckpointTest, SaysThatThereIsNone) {
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  EXPECT_EQ(message_of<std::runtime_error>([&] { load_checkpoint(path_, model, optimizer); }),
            "there is no checkpoint " + path_.string());
}

TEST_F(CheckpointTest, SaysThatItIsSomethingElse) {
  std::ofstream(path_) << "no archive";
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  const std::string message =
      message_of<std::runtime_error>([&] { load_checkpoint(path_, model, optimizer); });
  EXPECT_EQ(message.rfind(path_.string() + " is no checkpoint of this model", 0), 0U) << message;
}

TEST_F(CheckpointTest, SaysThatItCannotBeWritten) {
  SmallModel model;
  FastaiAdam optimizer(model, 0.1);
  const std::filesystem::path nowhere = path_ / "file";
  const std::string message =
      message_of<std::runtime_error>([&] { save_checkpoint(nowhere, model, optimizer, 1); });
  EXPECT_EQ(message.rfind("cannot write " + nowhere.string(), 0), 0U) << message;
}

// Decoupled weight decay alone, as the gradients are zero: layers' biases and the normalisation
// stay, the table and the layer's weight shrink by lr * decay.
TEST(FastaiAdamTest, SparesBiasesAndNormalisation) {
  SmallModel model;
  FastaiAdam optimizer(model, 0.5);
  const torch::NoGradGuard no_grad;
  for (at::Tensor& parameter : model.parameters()) {
    parameter.fill_(1);
    parameter.mutable_grad() = at::zeros_like(parameter);
  }
  optimizer.step(/*learning_rate=*/0.5, /*beta1=*/0.9);
  EXPECT_TRUE(model.table->weight.eq(0.75).all().item<bool>());
  EXPECT_TRUE(model.layer->weight.eq(0.75).all().item<bool>());
  EXPECT_TRUE(model.layer->bias.eq(1).all().item<bool>());
  EXPECT_TRUE(model.norm->weight.eq(1).all().item<bool>());
  EXPECT_TRUE(model.norm->bias.eq(1).all().item<bool>());
}

}  // namespace
}  // namespace rowlane::examples
