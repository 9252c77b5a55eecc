// Trains a table that is larger than the device's memory: it stays in host memory, and only the
// rows that a batch looks up travel.
//
// The model predicts ratings of films (MovieLens 100K, the dot product with biases of the
// fastbook's chapter on collaborative filtering). Its users are spread over a table of a million
// rows, as if they were some of a service's users; that table with the optimizer's state exceeds
// the budget for the device. Each step
//   1. looks up the batch's rows on the host and sends them to the device,
//   2. computes loss and gradients there, and sends the gradients of these rows back,
//   3. on the host, sums the gradients of each row and takes the optimizer's step in these rows.
// The same training with the table on the device is beside it: not a bit differs. On a machine
// without a GPU the device is the CPU; what would travel is copied and counted all the same.
#include <ATen/Functions.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "benchmarks/harness/format.h"
#include "rowlane/nn/embedding.h"
#include "rowlane/optim/adagrad.h"
#include "support/checkpoint.h"
#include "support/collab_models.h"
#include "support/device_link.h"
#include "support/movielens.h"
#include "support/program.h"
#include "support/progress.h"

namespace rowlane::examples {
namespace {

constexpr std::int64_t kDim = 50 + 1;  // factors, and the bias in the last element
constexpr std::int64_t kRowBytes = kDim * static_cast<std::int64_t>(sizeof(float));
constexpr double kWeightDecay = 1e-3;  // of the rows of a step's gradient, in Rowlane's Adagrad

struct Options {
  CommonOptions common{.num_epochs = 3};
  std::int64_t num_rows = 1'000'000;
  double budget_mb = 64;
  std::int64_t batch_size = 256;
  double learning_rate = 0.1;
};

nn::Embedding new_table(const at::Tensor& rows) {
  return nn::Embedding::from_pretrained(
      rows, nn::EmbeddingFromPretrainedOptions().freeze(false).row_gradient(true));
}

// The table of users: where it is, and how a batch gets its rows.
class UserTable {
 public:
  explicit UserTable(const at::Tensor& rows) : table(new_table(rows)) {}
  virtual ~UserTable() = default;

  // users [batch], on the host; returns their rows [batch, dim], on the device.
  virtual at::Tensor look_up(const at::Tensor& users) = 0;
  // After the loss's backward(): sees to it that the table has its gradient.
  virtual void finish_backward() {}

  nn::Embedding table;
};

class DeviceTable final : public UserTable {
 public:
  DeviceTable(const at::Tensor& rows, DeviceLink& link)
      : UserTable(rows.to(link.device(), rows.scalar_type(), false, /*copy=*/true)), link_(link) {}

  at::Tensor look_up(const at::Tensor& users) override { return table(link_.to_device(users)); }

 private:
  DeviceLink& link_;
};

class HostTable final : public UserTable {
 public:
  HostTable(const at::Tensor& rows, DeviceLink& link, std::int64_t budget_bytes)
      : UserTable(rows.clone()), link_(link), budget_bytes_(budget_bytes) {}

  at::Tensor look_up(const at::Tensor& users) override {
    const std::int64_t needed_bytes = 2 * users.numel() * kRowBytes;  // rows and gradients
    if (needed_bytes > budget_bytes_) {
      throw std::runtime_error("a batch takes " + bench::format_bytes(needed_bytes) +
                               " on the device, and the budget is " +
                               bench::format_bytes(budget_bytes_) + ": lower --batch-size");
    }
    host_rows_ = table(users);
    device_rows_ = link_.to_device(host_rows_.detach()).requires_grad_();
    return device_rows_;
  }

  void finish_backward() override {
    host_rows_.backward(link_.to_host(device_rows_.grad()));
    host_rows_.reset();
    device_rows_.reset();
  }

 private:
  DeviceLink& link_;
  std::int64_t budget_bytes_;
  at::Tensor host_rows_;    // with the look-up as their history
  at::Tensor device_rows_;  // a copy without one
};

struct Result {
  at::Tensor users;  // the table in the end
  std::int64_t num_steps = 0;
  std::int64_t num_bytes = 0;  // which travelled in all steps together
};

Result train(const std::string& name, UserTable& users, const DeviceLink& link, nn::Embedding items,
             const RatingSplit& split, const Options& options, Record& record) {
  optim::Adagrad optimizer(std::vector<at::Tensor>{users.table->weight, items->weight},
                           optim::AdagradOptions(options.learning_rate).weight_decay(kWeightDecay));
  torch::manual_seed(options.common.seed);
  torch::nn::Module tables;
  tables.register_module("users", users.table);
  tables.register_module("items", items);
  const std::int64_t num_batches = split.train.size() / options.batch_size;
  Result result;
  const auto mse = [&](const at::Tensor& user_rows, const RatingTensors& ratings) {
    return at::mse_loss(predict_stars(user_rows, items(ratings.items.to(link.device()))),
                        ratings.stars.to(link.device()));
  };
  const auto judge = [&](std::int64_t epoch, double train_mse, double ms_per_step) {
    const torch::NoGradGuard no_grad;
    const at::Tensor valid_users = users.table(split.valid.users.to(users.table->weight.device()));
    const auto valid_mse = mse(valid_users.to(link.device()), split.valid).item<double>();
    record.add({name, users.table->weight.size(0), epoch, train_mse, valid_mse, ms_per_step,
                result.num_steps > 0 ? Cell(result.num_bytes / result.num_steps) : Cell(NAN)});
  };
  const std::int64_t first_epoch = resume_training(options.common, tables, optimizer);
  if (first_epoch >= options.common.num_epochs) {
    judge(first_epoch, NAN, NAN);
  }
  for (std::int64_t epoch = first_epoch; epoch < options.common.num_epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    const RatingTensors ratings =
        split.train.select(torch::randperm(split.train.size(), at::kLong));
    double total = 0;
    {
      ProgressBar bar(name + ", epoch " + std::to_string(epoch + 1), num_batches);
      for (std::int64_t step = 0; step < num_batches; ++step) {
        const RatingTensors batch = ratings.narrow(step * options.batch_size, options.batch_size);
        const at::Tensor loss = mse(users.look_up(batch.users), batch);
        optimizer.zero_grad();
        loss.backward();
        users.finish_backward();
        optimizer.step();
        total += loss.item<double>();
        bar.update(step + 1, loss.item<double>());
      }
    }
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    result.num_steps += num_batches;
    result.num_bytes = link.num_bytes();
    keep_training(options.common, tables, optimizer, epoch + 1);
    judge(epoch + 1, total / static_cast<double>(num_batches),
          ms.count() / static_cast<double>(num_batches));
  }
  result.users = users.table->weight.detach();
  return result;
}

// The same users and films in a table of so many rows, with the table where `is_on_host` says.
Result run_training(std::int64_t num_rows, bool is_on_host, RatingSplit split,
                    const Options& options, Record& record) {
  const std::int64_t stride = num_rows / split.num_user_rows;
  if (stride == 0) {
    throw std::runtime_error("--rows must be " + std::to_string(split.num_user_rows) +
                             " or more, got " + std::to_string(num_rows));
  }
  split.train.users = split.train.users.mul(stride);
  split.valid.users = split.valid.users.mul(stride);
  torch::manual_seed(options.common.seed);
  const at::Tensor item_rows = torch::randn({split.num_item_rows, kDim}).mul_(0.01);
  const at::Tensor user_rows = torch::randn({num_rows, kDim}).mul_(0.01);
  DeviceLink link(torch::cuda::is_available() ? at::kCUDA : at::kCPU);
  const nn::Embedding items = new_table(item_rows.to(link.device()));
  if (is_on_host) {
    HostTable users(user_rows, link, static_cast<std::int64_t>(options.budget_mb * 1e6));
    return train("host", users, link, items, split, options, record);
  }
  DeviceTable users(user_rows, link);
  return train("device", users, link, items, split, options, record);
}

int run(Options options) {
  apply_common_options(options.common);
  const RatingSplit split = split_ratings(read_movielens(options.common.data_dir), 1);
  const std::int64_t table_bytes = 2 * options.num_rows * kRowBytes;  // and Adagrad's sums
  std::printf("table and optimizer: %s; on the device at most %.3g MB, which %s\n\n",
              bench::format_bytes(table_bytes).c_str(), options.budget_mb,
              static_cast<double>(table_bytes) > options.budget_mb * 1e6 ? "is less" : "would do");
  Record record(
      {"table_on", "num_rows", "epoch", "train_mse", "valid_mse", "ms_per_step", "bytes_per_step"});
  record.print_header();
  const Result on_host = run_training(options.num_rows, true, split, options, record);
  options.common.checkpoint_path.clear();  // it is of the table in host memory
  options.common.resume = false;
  const Result on_device = run_training(options.num_rows, false, split, options, record);
  // A table of a tenth of the rows: as many bytes travel.
  const Result smaller = run_training(std::max(options.num_rows / 10, split.num_user_rows), true,
                                      split, options, record);

  // Rows one way, gradients the other.
  const std::int64_t expected_bytes = 2 * options.batch_size * kRowBytes;
  const auto difference = (on_host.users - on_device.users.cpu()).abs().max().item<double>();
  // A GPU rounds sums and steps in its own way.
  const bool is_same = difference <= (on_device.users.is_cpu() ? 0 : 1e-4);
  const bool is_lean = on_host.num_bytes == on_host.num_steps * expected_bytes &&
                       smaller.num_bytes == smaller.num_steps * expected_bytes;
  std::printf("\ntable in host memory and on the device: they differ by %.2g: %s\n", difference,
              is_same ? "ok" : "FAIL");
  std::printf("%s travel per step, whatever the size of the table: %s\n",
              bench::format_bytes(expected_bytes).c_str(), is_lean ? "ok" : "FAIL");
  write_outputs(record,
                {.title = "A table in host memory",
                 .x = "epoch",
                 .y = {"valid_mse"},
                 .by = {"table_on", "num_rows"}},
                options.common);
  return is_same && is_lean ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("host_table", [&] {
    rowlane::examples::Options options;
    options.common.data_dir = std::filesystem::path(ROWLANE_EXAMPLE_DATA_DIR) / "ml-100k";
    CLI::App app("Trains a table that stays in host memory, and compares with one on the device.");
    add_common_options(app, options.common);
    app.add_option("--rows", options.num_rows, "of the table")->check(CLI::PositiveNumber);
    app.add_option("--device-budget", options.budget_mb, "MB of the device's memory for rows")
        ->check(CLI::PositiveNumber);
    app.add_option("--batch-size", options.batch_size, "ratings per step")
        ->check(CLI::PositiveNumber);
    app.add_option("--learning-rate", options.learning_rate, "Adagrad's")
        ->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
