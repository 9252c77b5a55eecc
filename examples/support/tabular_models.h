// What the embeddings of tabular data are compared with, and the layers that follow them.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "tabular_data.h"

namespace rowlane::examples {

class TabularModel : public torch::nn::Module {
 public:
  // People as TabularEncoder makes them, [batch, columns], to scores [batch], above zero for a yes.
  virtual at::Tensor forward(const TabularTensors& people) = 0;
};

// Two hidden layers, 200 and 100 wide, each with batch normalisation, as in fastai.
class Perceptron : public torch::nn::Module {
 public:
  explicit Perceptron(std::int64_t width);
  // [batch, width] -> [batch]
  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::Linear hidden1_;
  torch::nn::BatchNorm1d norm1_;
  torch::nn::Linear hidden2_;
  torch::nn::BatchNorm1d norm2_;
  torch::nn::Linear output_;
};

// Logistic regression: a weight for each category and each number, and a bias.
class OneHotRegression final : public TabularModel {
 public:
  // `num_categories`: of each categorical column; `num_numbers`: continuous columns.
  OneHotRegression(std::vector<std::int64_t> num_categories, std::int64_t num_numbers);
  at::Tensor forward(const TabularTensors& people) override;

 private:
  std::vector<std::int64_t> num_categories_;
  torch::nn::Linear output_{nullptr};
};

// The perceptron on categories as numbers: code 3 is as far from 2 as from 4, whatever they are.
class CodesModel final : public TabularModel {
 public:
  CodesModel(std::int64_t num_categorical, std::int64_t num_numbers);
  at::Tensor forward(const TabularTensors& people) override;

 private:
  torch::nn::BatchNorm1d norm_;
  std::shared_ptr<Perceptron> layers_;
};

}  // namespace rowlane::examples
