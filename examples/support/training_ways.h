// The ways to train a model with tables of which a batch names few rows, side by side:
//   torch   as usual: torch::nn::Embedding, whose gradient is as large as the table, and
//           torch::optim, which steps every row;
//   rows    rowlane::nn::Embedding with row gradients and rowlane::optim, which steps the rows that
//           the batch names;
//   fused   the same, stepped inside backward(): there is no gradient of a table at all.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/embedding.h>
#include <torch/optim/adam.h>
#include <torch/optim/sgd.h>
#include <torch/utils.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "program.h"
#include "rowlane/nn/embedding.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"

namespace rowlane::examples {

// What every way is given. Outlives the ways.
template <typename ShapeT, typename BatchT>
struct Task {
  std::uint64_t seed;  // of the initial values
  double sgd_learning_rate, adam_learning_rate;
  ShapeT shape;  // a model is made of it
  std::vector<BatchT> batches;
};

// A model with an optimizer, and what was measured.
struct Way {
  std::string optimizer;
  std::string other_rows;  // what the rows that a batch doesn't name do
  std::string name;
  std::function<double(std::size_t batch)> step;  // returns the loss
  std::function<void()> finish;                   // to be called before `tables` are read
  std::vector<at::Tensor> tables;
  std::vector<double> ms, losses;  // of the steps
  std::int64_t peak_bytes = 0;
};

// A table with the same initial values, whether TableT is torch::nn::Embedding or Rowlane's.
template <typename TableT>
TableT make_table(std::int64_t num_rows, std::int64_t dim) {
  if constexpr (std::is_same_v<TableT, nn::Embedding>) {
    return TableT(nn::EmbeddingOptions(num_rows, dim).row_gradient(true));
  } else {
    return TableT(num_rows, dim);
  }
}

// The loop that every user of torch writes.
template <typename ModelT, typename OptimizerT, typename BatchT>
auto training_step(ModelT model, OptimizerT optimizer, const std::vector<BatchT>& batches) {
  return [=, &batches](std::size_t batch) {
    const at::Tensor loss = model->loss(batches[batch]);
    loss.backward();
    optimizer->step();
    optimizer->zero_grad();
    return loss.template item<double>();
  };
}

template <typename TableT>
std::vector<at::Tensor> weights_of(const std::vector<TableT>& tables) {
  std::vector<at::Tensor> weights;
  for (const TableT& table : tables) {
    weights.push_back(table->weight);
  }
  return weights;
}

template <template <typename> typename ModelT, typename OptimizerT, typename SettingsT,
          typename ShapeT, typename BatchT>
Way torch_way(const std::string& name, const SettingsT& settings,
              const Task<ShapeT, BatchT>& task) {
  torch::manual_seed(task.seed);
  const auto model = std::make_shared<ModelT<torch::nn::Embedding>>(task.shape);
  const auto optimizer = std::make_shared<OptimizerT>(model->parameters(), settings);
  return {.optimizer = name,
          .other_rows = "step",
          .name = "torch",
          .step = training_step(model, optimizer, task.batches),
          .finish = [] {},
          .tables = weights_of(model->tables())};
}

template <template <typename> typename ModelT, typename OptimizerT, typename SettingsT,
          typename ShapeT, typename BatchT>
Way rowlane_way(const std::string& name, const SettingsT& settings, optim::RowSemantics semantics,
                bool is_fused, const Task<ShapeT, BatchT>& task) {
  torch::manual_seed(task.seed);
  const auto model = std::make_shared<ModelT<nn::Embedding>>(task.shape);
  // One optimizer for all parameters, whether tables or not.
  const auto optimizer = std::make_shared<OptimizerT>(model->parameters(), settings,
                                                      optim::RowOptions().semantics(semantics));
  for (nn::Embedding& table : model->tables()) {
    // attach(), too, lets rows catch up before they are read.
    is_fused ? table->fuse(*optimizer) : table->attach(*optimizer);
  }
  return {.optimizer = name,
          .other_rows = semantics == optim::RowSemantics::kLazy ? "stay" : "catch up",
          .name = is_fused ? "fused" : "rows",
          .step = training_step(model, optimizer, task.batches),
          .finish = [optimizer] { optimizer->flush(); },
          .tables = weights_of(model->tables())};
}

// Eight ways to train ModelT<TableT>(task.shape), which has tables(), parameters() and loss(batch).
// Of each optimizer torch's way comes first; of each kind of Rowlane's, the unfused one.
template <template <typename> typename ModelT, typename ShapeT, typename BatchT>
std::vector<Way> make_ways(const Task<ShapeT, BatchT>& task) {
  using enum optim::RowSemantics;
  const torch::optim::SGDOptions sgd(task.sgd_learning_rate);
  const torch::optim::AdamOptions adam(task.adam_learning_rate);
  std::vector<Way> ways{torch_way<ModelT, torch::optim::SGD>("SGD", sgd, task)};
  for (const bool is_fused : {false, true}) {
    ways.push_back(rowlane_way<ModelT, optim::SGD>("SGD", sgd, kLazy, is_fused, task));
  }
  ways.push_back(torch_way<ModelT, torch::optim::Adam>("Adam", adam, task));
  for (const auto semantics : {kDenseEquivalent, kLazy}) {
    for (const bool is_fused : {false, true}) {
      ways.push_back(rowlane_way<ModelT, optim::Adam>("Adam", adam, semantics, is_fused, task));
    }
  }
  return ways;
}

// Takes a step with each batch, all ways in turn. The second step, the first with states of the
// optimizer, is watched for memory instead of timed.
void train(std::vector<Way>& ways, std::size_t num_batches);

// Prints a line for each way, after at least three steps. Returns whether
//   - the first 200 losses of `rows` and `fused` are those of torch within a millionth
//     (early_diff; loss_diff is of all steps), unless Adam leaves the rows that a batch doesn't
//     name as they are;
//   - losses and tables of `fused` are those of `rows` to the last bit;
//   - `rows` holds less than half of the memory of torch in a step, and `fused` less than `rows`;
//   - the last loss is below nine tenths of the first;
// and tells what isn't so.
bool report(const std::vector<Way>& ways);

// Writes the losses of all steps where `options` say, with a picture of this title.
void write_losses(const std::vector<Way>& ways, const std::string& title,
                  const CommonOptions& options);

}  // namespace rowlane::examples
