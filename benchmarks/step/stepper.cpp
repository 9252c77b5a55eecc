#include "step/stepper.h"

#include <torch/nn/modules/embedding.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/sgd.h>

#include <memory>
#include <utility>

#include "rowlane/nn/embedding.h"
#include "rowlane/optim/adagrad.h"
#include "rowlane/optim/adam.h"
#include "rowlane/optim/sgd.h"
#include "rowlane/optim/sparse_adam.h"

namespace rowlane::bench {
namespace {

enum class Way : std::uint8_t { kFused, kUnfused, kDenseEquivalent };

std::string to_string(Way way) {
  switch (way) {
    case Way::kFused:
      return "fused";
    case Way::kUnfused:
      return "unfused";
    default:
      return "fused dense_equivalent";
  }
}

template <typename Module, typename OptimizerT>
std::function<void(const at::Tensor&, const at::Tensor&)> loop_body(
    Module module, std::shared_ptr<OptimizerT> optimizer) {
  return [module = std::move(module), optimizer = std::move(optimizer)](
             const at::Tensor& indices, const at::Tensor& output_grad) mutable {
    module->forward(indices).backward(output_grad);
    optimizer->step();
    optimizer->zero_grad();
  };
}

template <typename OptimizerT, typename Options>
Stepper rowlane_stepper(const at::Tensor& table, const Options& options, Way way) {
  auto module = nn::Embedding::from_pretrained(
      table.detach(),
      nn::EmbeddingFromPretrainedOptions().freeze(false).row_gradient(way == Way::kUnfused));
  optim::RowOptions row_options;
  if (way == Way::kDenseEquivalent) {
    row_options.semantics(optim::RowSemantics::kDenseEquivalent);
  }
  const auto optimizer =
      std::make_shared<OptimizerT>(std::vector<at::Tensor>{module->weight}, options, row_options);
  if (way != Way::kUnfused) {
    module->fuse(*optimizer);
  }
  return {.impl = "rowlane", .algorithm = to_string(way), .step = loop_body(module, optimizer)};
}

template <typename OptimizerT, typename Options>
Stepper torch_stepper(const at::Tensor& table, const Options& options, bool is_sparse) {
  auto module = torch::nn::Embedding::from_pretrained(
      table.detach(), torch::nn::EmbeddingFromPretrainedOptions().freeze(false).sparse(is_sparse));
  const auto optimizer =
      std::make_shared<OptimizerT>(std::vector<at::Tensor>{module->weight}, options);
  return {.impl = is_sparse ? "nn_embedding_sparse" : "nn_embedding_dense",
          .algorithm = "default",
          .step = loop_body(module, optimizer)};
}

Stepper make_rowlane(StepOp op, const at::Tensor& table, Way way) {
  switch (op) {
    case StepOp::kSgd:
      return rowlane_stepper<optim::SGD>(table, torch::optim::SGDOptions(kLearningRate), way);
    case StepOp::kAdagrad:
      return rowlane_stepper<optim::Adagrad>(
          table, torch::optim::AdagradOptions(kLearningRate).eps(kAdagradEps), way);
    case StepOp::kSparseAdam:
      return rowlane_stepper<optim::SparseAdam>(
          table, optim::SparseAdamOptions(kLearningRate).eps(kAdamEps), way);
    default:
      return rowlane_stepper<optim::Adam>(
          table, torch::optim::AdamOptions(kLearningRate).eps(kAdamEps), way);
  }
}

}  // namespace

std::string to_string(StepOp op) {
  switch (op) {
    case StepOp::kSgd:
      return "step_sgd";
    case StepOp::kAdagrad:
      return "step_adagrad";
    case StepOp::kSparseAdam:
      return "step_sparse_adam";
    default:
      return "step_adam";
  }
}

std::int64_t num_states(StepOp op) {
  switch (op) {
    case StepOp::kSgd:
      return 0;
    case StepOp::kAdagrad:
      return 1;
    default:
      return 2;
  }
}

std::string display_name(const Stepper& stepper) {
  if (stepper.impl == "nn_embedding_sparse") {
    return "nn.Embedding(sparse)";
  }
  return stepper.impl == "nn_embedding_dense" ? "nn.Embedding dense"
                                              : stepper.impl + " " + stepper.algorithm;
}

Stepper make_fused(StepOp op, const at::Tensor& table) {
  return make_rowlane(op, table, Way::kFused);
}

std::vector<Stepper> make_steppers(StepOp op, const at::Tensor& table) {
  std::vector<Stepper> steppers{make_fused(op, table), make_rowlane(op, table, Way::kUnfused)};
  switch (op) {
    case StepOp::kSgd:
      for (const bool is_sparse : {true, false}) {
        steppers.push_back(torch_stepper<torch::optim::SGD>(
            table, torch::optim::SGDOptions(kLearningRate), is_sparse));
      }
      break;
    case StepOp::kAdagrad:
      steppers.push_back(torch_stepper<torch::optim::Adagrad>(
          table, torch::optim::AdagradOptions(kLearningRate).eps(kAdagradEps),
          /*is_sparse=*/true));
      break;
    case StepOp::kSparseAdam:
      break;  // which torch has in Python only
    case StepOp::kAdam:
      steppers.push_back(make_rowlane(op, table, Way::kDenseEquivalent));
      steppers.push_back(torch_stepper<torch::optim::Adam>(
          table, torch::optim::AdamOptions(kLearningRate).eps(kAdamEps), /*is_sparse=*/false));
      break;
  }
  return steppers;
}

}  // namespace rowlane::bench
