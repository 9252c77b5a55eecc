// The models of the fastbook's chapter on collaborative filtering, and what it prints for each.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rowlane::examples {

class CollabModel : public torch::nn::Module {
 public:
  // users, items [batch], numbers of rows; returns the predicted stars [batch, 1].
  virtual at::Tensor forward(const at::Tensor& users, const at::Tensor& items) = 0;

  // The tables of the items, [num_items, dim] and [num_items, 1]; undefined where the model has
  // none, or where its rows mean nothing by themselves.
  virtual at::Tensor item_factors() const { return {}; }
  virtual at::Tensor item_bias() const { return {}; }
};

// A model with its settings and the figures that are published for it.
struct CollabRecipe {
  std::string name;
  std::string description;
  // Decoupled. Where the chapter passes none, fastai's optimizer takes 0.01.
  double weight_decay;
  // Validation MSE after each of the five epochs.
  std::vector<double> published_mse;
  std::function<std::shared_ptr<CollabModel>(std::int64_t num_users, std::int64_t num_items)> make;
};

// The rows of the chapter's comparison, in its order, and last "bias-decay-indexed": the model of
// "bias-decay" with the same initial values in parameters that are indexed, for which the chapter
// has no figure.
const std::vector<CollabRecipe>& collab_recipes();

// Throws std::invalid_argument that lists the names when `name` is none of them.
const CollabRecipe& find_collab_recipe(const std::string& name);

// users, items [batch, factors + 1], rows whose last element is a bias; returns the stars that
// DotProductBias predicts, [batch, 1].
at::Tensor predict_stars(const at::Tensor& users, const at::Tensor& items);

}  // namespace rowlane::examples
