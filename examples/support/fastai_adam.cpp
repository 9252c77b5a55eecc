#include "fastai_adam.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/nn/modules/batchnorm.h>

#include <memory>
#include <string>
#include <utility>

namespace rowlane::examples {
namespace {

constexpr double kBeta2 = 0.99;
constexpr double kEpsilon = 1e-5;

}  // namespace

FastaiAdam::Group::Group(std::vector<at::Tensor> parameters_in, double weight_decay_in)
    : parameters(std::move(parameters_in)),
      weight_decay(weight_decay_in),
      gradients(parameters.size()),
      steps(parameters.size(), at::zeros({}, at::kFloat)) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : parameters) {
    means.push_back(at::zeros_like(parameter));
    squares.push_back(at::zeros_like(parameter));
  }
}

FastaiAdam::FastaiAdam(std::vector<at::Tensor> parameters, double weight_decay) {
  groups_.emplace_back(std::move(parameters), weight_decay);
}

FastaiAdam::FastaiAdam(const torch::nn::Module& module, double weight_decay) {
  std::vector<at::Tensor> decaying;
  std::vector<at::Tensor> spared;
  for (const std::shared_ptr<torch::nn::Module>& part : module.modules(/*include_self=*/false)) {
    const bool is_norm = part->as<torch::nn::BatchNorm1d>() != nullptr;
    for (const auto& parameter : part->named_parameters(/*recurse=*/false)) {
      (is_norm || parameter.key() == "bias" ? spared : decaying).push_back(parameter.value());
    }
  }
  for (const at::Tensor& parameter : module.parameters(/*recurse=*/false)) {
    decaying.push_back(parameter);
  }
  groups_.emplace_back(std::move(decaying), weight_decay);
  if (!spared.empty()) {
    groups_.emplace_back(std::move(spared), 0);
  }
}

void FastaiAdam::zero_grad() {
  for (Group& group : groups_) {
    for (at::Tensor& parameter : group.parameters) {
      parameter.mutable_grad().reset();
    }
  }
}

void FastaiAdam::step(double learning_rate, double beta1) {
  const at::NoGradGuard no_grad;
  for (Group& group : groups_) {
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      group.gradients[i] = group.parameters[i].grad();
    }
    group.steps.front().add_(1);
    at::_fused_adamw_(group.parameters, group.gradients, group.means, group.squares,
                      /*max_exp_avg_sqs=*/{}, group.steps, learning_rate, beta1, kBeta2,
                      group.weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void FastaiAdam::save(torch::serialize::OutputArchive& archive) const {
  int number = 0;
  for (const Group& group : groups_) {
    archive.write("steps" + std::to_string(number), group.steps.front(), /*is_buffer=*/true);
    for (std::size_t i = 0; i < group.parameters.size(); ++i, ++number) {
      archive.write("mean" + std::to_string(number), group.means[i], /*is_buffer=*/true);
      archive.write("square" + std::to_string(number), group.squares[i], /*is_buffer=*/true);
    }
  }
}

void FastaiAdam::load(torch::serialize::InputArchive& archive) {
  int number = 0;
  for (Group& group : groups_) {
    archive.read("steps" + std::to_string(number), group.steps.front(), /*is_buffer=*/true);
    for (std::size_t i = 0; i < group.parameters.size(); ++i, ++number) {
      archive.read("mean" + std::to_string(number), group.means[i], /*is_buffer=*/true);
      archive.read("square" + std::to_string(number), group.squares[i], /*is_buffer=*/true);
    }
  }
}

}  // namespace rowlane::examples
