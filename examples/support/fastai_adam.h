// Adam with fastai's defaults: decoupled weight decay, and a beta1 that may change from step to
// step.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/serialize/archive.h>

#include <vector>

namespace rowlane::examples {

// Beta2 is 0.99 and epsilon 1e-5. Updates all parameters in one call to torch's fused kernel, in
// place.
class FastaiAdam {
 public:
  FastaiAdam(std::vector<at::Tensor> parameters, double weight_decay);

  // Forgets the gradients, so that the next backward pass sets them instead of adding to them.
  void zero_grad();
  // Every parameter has to have a gradient.
  void step(double learning_rate, double beta1);

  void save(torch::serialize::OutputArchive& archive) const;
  void load(torch::serialize::InputArchive& archive);

 private:
  std::vector<at::Tensor> parameters_;
  double weight_decay_;
  std::vector<at::Tensor> gradients_;
  std::vector<at::Tensor> means_;    // of the gradients
  std::vector<at::Tensor> squares_;  // means of the squared gradients
  std::vector<at::Tensor> steps_;    // one scalar under as many names as there are parameters
};

}  // namespace rowlane::examples
