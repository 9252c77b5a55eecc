// Adam with fastai's defaults: decoupled weight decay, and a beta1 that may change from step to
// step.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/serialize/archive.h>

#include <vector>

namespace rowlane::examples {

// Beta2 is 0.99 and epsilon 1e-5. Updates the parameters in two calls to torch's fused kernel, in
// place: one for those that decay, one for the others.
class FastaiAdam {
 public:
  FastaiAdam(std::vector<at::Tensor> parameters, double weight_decay);
  // Spares, as fastai does, the biases of layers and all of batch normalisation. A table of biases
  // is a table and decays.
  FastaiAdam(const torch::nn::Module& module, double weight_decay);

  // Forgets the gradients, so that the next backward pass sets them instead of adding to them.
  void zero_grad();
  // Every parameter has to have a gradient.
  void step(double learning_rate, double beta1);

  void save(torch::serialize::OutputArchive& archive) const;
  // Throws c10::Error when the archive is of an optimizer with fewer parameters.
  void load(torch::serialize::InputArchive& archive);

 private:
  struct Group {
    Group(std::vector<at::Tensor> parameters_in, double weight_decay_in);

    std::vector<at::Tensor> parameters;
    double weight_decay;
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> means;    // of the gradients
    std::vector<at::Tensor> squares;  // means of the squared gradients
    std::vector<at::Tensor> steps;    // one scalar under as many names as there are parameters
  };

  std::vector<Group> groups_;  // none is empty
};

}  // namespace rowlane::examples
