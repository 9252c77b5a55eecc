// Runs a model that Python has compiled ahead of time: run_model MODEL.pt2 prints its output for
// the indices 3 and 1.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/torch.h>

#include <iostream>

int main(int /*argc*/, char** argv) {
  torch::inductor::AOTIModelPackageLoader model(argv[1]);
  std::cout << model.run({torch::tensor({3, 1})})[0].sum().item<float>() << '\n';
}
