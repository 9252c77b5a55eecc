#include <rowlane/rowlane.h>
#include <torch/types.h>

#include <iostream>

int main() {
  rowlane::nn::Embedding table(1000, 4);                        // 1000 rows of 4 floats
  const torch::Tensor rows = table(torch::tensor({7, 42, 7}));  // [3, 4]
  rows.sum().backward();
  const torch::Tensor grad = table->weight.grad().sum(1);  // one number per row
  for (const torch::Tensor& row : grad.nonzero().unbind()) {
    std::cout << "gradient in row " << row.item<int64_t>() << ": "
              << grad[row.item<int64_t>()].item<float>() << '\n';
  }
}
