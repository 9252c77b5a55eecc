#include "tabular_models.h"

#include <torch/types.h>

#include <numeric>
#include <utility>

namespace rowlane::examples {

Perceptron::Perceptron(std::int64_t width)
    : hidden1_(register_module("hidden1", torch::nn::Linear(width, 200))),
      norm1_(register_module("norm1", torch::nn::BatchNorm1d(200))),
      hidden2_(register_module("hidden2", torch::nn::Linear(200, 100))),
      norm2_(register_module("norm2", torch::nn::BatchNorm1d(100))),
      output_(register_module("output", torch::nn::Linear(100, 1))) {}

at::Tensor Perceptron::forward(const at::Tensor& x) {
  return output_(norm2_(hidden2_(norm1_(hidden1_(x).relu())).relu())).squeeze(1);
}

OneHotRegression::OneHotRegression(std::vector<std::int64_t> num_categories,
                                   std::int64_t num_numbers)
    : num_categories_(std::move(num_categories)) {
  const std::int64_t width =
      std::accumulate(num_categories_.begin(), num_categories_.end(), num_numbers);
  output_ = register_module("output", torch::nn::Linear(width, 1));
}

at::Tensor OneHotRegression::forward(const TabularTensors& people) {
  std::vector<at::Tensor> columns = {people.numbers};
  for (std::size_t i = 0; i < num_categories_.size(); ++i) {
    const at::Tensor codes = people.categories.select(1, static_cast<std::int64_t>(i));
    columns.push_back(at::one_hot(codes, num_categories_[i]).to(at::kFloat));
  }
  return output_(torch::cat(columns, 1)).squeeze(1);
}

CodesModel::CodesModel(std::int64_t num_categorical, std::int64_t num_numbers)
    : norm_(register_module("norm", torch::nn::BatchNorm1d(num_categorical))),
      layers_(
          register_module("layers", std::make_shared<Perceptron>(num_categorical + num_numbers))) {}

at::Tensor CodesModel::forward(const TabularTensors& people) {
  const at::Tensor codes = norm_(people.categories.to(at::kFloat));
  return layers_->forward(torch::cat({codes, people.numbers}, 1));
}

}  // namespace rowlane::examples
