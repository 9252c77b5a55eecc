#include "fastai_adam.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <string>
#include <utility>

namespace rowlane::examples {
namespace {

constexpr double kBeta2 = 0.99;
constexpr double kEpsilon = 1e-5;

}  // namespace

FastaiAdam::FastaiAdam(std::vector<at::Tensor> parameters, double weight_decay)
    : parameters_(std::move(parameters)),
      weight_decay_(weight_decay),
      gradients_(parameters_.size()),
      steps_(parameters_.size(), at::zeros({}, at::kFloat)) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : parameters_) {
    means_.push_back(at::zeros_like(parameter));
    squares_.push_back(at::zeros_like(parameter));
  }
}

void FastaiAdam::zero_grad() {
  for (at::Tensor& parameter : parameters_) {
    parameter.mutable_grad().reset();
  }
}

void FastaiAdam::step(double learning_rate, double beta1) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    gradients_[i] = parameters_[i].grad();
  }
  steps_.front().add_(1);
  at::_fused_adamw_(parameters_, gradients_, means_, squares_, /*max_exp_avg_sqs=*/{}, steps_,
                    learning_rate, beta1, kBeta2, weight_decay_, kEpsilon, /*amsgrad=*/false,
                    /*maximize=*/false);
}

void FastaiAdam::save(torch::serialize::OutputArchive& archive) const {
  archive.write("steps", steps_.front(), /*is_buffer=*/true);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    archive.write("mean" + std::to_string(i), means_[i], /*is_buffer=*/true);
    archive.write("square" + std::to_string(i), squares_[i], /*is_buffer=*/true);
  }
}

void FastaiAdam::load(torch::serialize::InputArchive& archive) {
  archive.read("steps", steps_.front(), /*is_buffer=*/true);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    archive.read("mean" + std::to_string(i), means_[i], /*is_buffer=*/true);
    archive.read("square" + std::to_string(i), squares_[i], /*is_buffer=*/true);
  }
}

}  // namespace rowlane::examples
