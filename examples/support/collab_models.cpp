#include "collab_models.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <stdexcept>

#include "embedding_width.h"
#include "fastai_init.h"

namespace rowlane::examples {
namespace {

using rowlane::nn::Embedding;

constexpr std::int64_t kNumFactors = 50;
// A little above five stars, because a sigmoid never reaches its end.
constexpr double kMostStars = 5.5;

at::Tensor to_stars(const at::Tensor& x) { return at::sigmoid(x) * kMostStars; }

// The stars are the dot product of the user's and the item's row.
class DotProduct final : public CollabModel {
 public:
  DotProduct(std::int64_t num_users, std::int64_t num_items, bool has_range)
      : has_range_(has_range) {
    user_factors_ = register_module("user_factors", fastai_embedding(num_users, kNumFactors));
    item_factors_ = register_module("item_factors", fastai_embedding(num_items, kNumFactors));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    const at::Tensor dots = (user_factors_(users) * item_factors_(items)).sum(1, /*keepdim=*/true);
    return has_range_ ? to_stars(dots) : dots;
  }

  at::Tensor item_factors() const override { return item_factors_->weight; }

 private:
  bool has_range_;
  Embedding user_factors_{nullptr}, item_factors_{nullptr};
};

// Some users are generous and some films are good, whoever meets: a bias for each.
class DotProductBias final : public CollabModel {
 public:
  // The order in which the tables are drawn: the chapter's own class, or that of its library's.
  enum class Order : std::uint8_t { kChapter, kLibrary };

  DotProductBias(std::int64_t num_users, std::int64_t num_items, Order order) {
    user_factors_ = register_module("user_factors", fastai_embedding(num_users, kNumFactors));
    if (order == Order::kChapter) {
      user_bias_ = register_module("user_bias", fastai_embedding(num_users, 1));
    }
    item_factors_ = register_module("item_factors", fastai_embedding(num_items, kNumFactors));
    if (order == Order::kLibrary) {
      user_bias_ = register_module("user_bias", fastai_embedding(num_users, 1));
    }
    item_bias_ = register_module("item_bias", fastai_embedding(num_items, 1));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    const at::Tensor dots = (user_factors_(users) * item_factors_(items)).sum(1, /*keepdim=*/true);
    return to_stars(dots + user_bias_(users) + item_bias_(items));
  }

  at::Tensor item_factors() const override { return item_factors_->weight; }
  at::Tensor item_bias() const override { return item_bias_->weight; }

 private:
  Embedding user_factors_{nullptr}, user_bias_{nullptr};
  Embedding item_factors_{nullptr}, item_bias_{nullptr};
};

// The same without modules: parameters, indexed by tensors of rows.
class ParameterBias final : public CollabModel {
 public:
  using NewTable = at::Tensor (*)(std::int64_t num_rows, std::int64_t dim);

  ParameterBias(std::int64_t num_users, std::int64_t num_items, NewTable new_table) {
    user_factors_ = register_parameter("user_factors", new_table(num_users, kNumFactors));
    user_bias_ = register_parameter("user_bias", new_table(num_users, 1));
    item_factors_ = register_parameter("item_factors", new_table(num_items, kNumFactors));
    item_bias_ = register_parameter("item_bias", new_table(num_items, 1));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    const at::Tensor dots =
        (user_factors_.index({users}) * item_factors_.index({items})).sum(1, /*keepdim=*/true);
    return to_stars(dots + user_bias_.index({users}) + item_bias_.index({items}));
  }

  at::Tensor item_factors() const override { return item_factors_; }
  at::Tensor item_bias() const override { return item_bias_; }

 private:
  at::Tensor user_factors_, user_bias_, item_factors_, item_bias_;
};

at::Tensor normal_table(std::int64_t num_rows, std::int64_t dim) {
  return torch::empty({num_rows, dim}).normal_(0, 0.01);
}

// In place of the dot product, layers on the concatenated rows; so the tables may differ in width.
class CollabNN final : public CollabModel {
 public:
  CollabNN(std::int64_t num_users, std::int64_t num_items,
           torch::nn::Sequential (*new_layers)(std::int64_t num_inputs)) {
    const std::int64_t user_dim = embedding_width(num_users);
    const std::int64_t item_dim = embedding_width(num_items);
    user_rows_ = register_module("user_rows", fastai_embedding(num_users, user_dim));
    item_rows_ = register_module("item_rows", fastai_embedding(num_items, item_dim));
    layers_ = register_module("layers", new_layers(user_dim + item_dim));
  }

  at::Tensor forward(const at::Tensor& users, const at::Tensor& items) override {
    return to_stars(layers_->forward(at::cat({user_rows_(users), item_rows_(items)}, 1)));
  }

 private:
  Embedding user_rows_{nullptr}, item_rows_{nullptr};
  torch::nn::Sequential layers_{nullptr};
};

torch::nn::Sequential chapter_layers(std::int64_t num_inputs) {
  torch::nn::Sequential layers;
  layers->push_back(torch::nn::Linear(num_inputs, 100));
  layers->push_back(torch::nn::ReLU());
  layers->push_back(torch::nn::Linear(100, 1));
  return layers;
}

// A hidden layer of fastai's tabular model: its batch normalisation comes last, and has a bias, so
// that the Linear needs none. There is no dropout by default.
void add_hidden_layer(torch::nn::Sequential& layers, std::int64_t num_inputs,
                      std::int64_t num_outputs) {
  layers->push_back(
      torch::nn::Linear(torch::nn::LinearOptions(num_inputs, num_outputs).bias(false)));
  layers->push_back(torch::nn::ReLU());
  torch::nn::BatchNorm1d norm(num_outputs);
  const torch::NoGradGuard no_grad;
  norm->bias.fill_(1e-3);
  layers->push_back(norm);
}

torch::nn::Sequential library_layers(std::int64_t num_inputs) {
  torch::nn::Sequential layers;
  add_hidden_layer(layers, num_inputs, 100);
  add_hidden_layer(layers, 100, 50);
  layers->push_back(torch::nn::Linear(50, 1));
  return layers;
}

template <typename ModelT, typename... Settings>
auto maker(Settings... settings) {
  return [=](std::int64_t num_users, std::int64_t num_items) -> std::shared_ptr<CollabModel> {
    return std::make_shared<ModelT>(num_users, num_items, settings...);
  };
}

}  // namespace

const std::vector<CollabRecipe>& collab_recipes() {
  using Order = DotProductBias::Order;
  static const std::vector<CollabRecipe> recipes = {
      {"dot-product",
       "DotProduct without a range",
       0.01,
       {1.2957, 1.0915, 0.9777, 0.8931, 0.8765},
       maker<DotProduct>(/*has_range=*/false)},
      {"dot-product-range",
       "DotProduct",
       0.01,
       {1.0015, 0.9200, 0.8707, 0.8741, 0.8781},
       maker<DotProduct>(/*has_range=*/true)},
      {"bias",
       "DotProductBias",
       0.01,
       {0.9363, 0.8613, 0.8653, 0.8864, 0.8926},
       maker<DotProductBias>(Order::kChapter)},
      {"bias-decay",
       "DotProductBias, weight decay 0.1",
       0.1,
       {0.9624, 0.8851, 0.8399, 0.8232, 0.8231},
       maker<DotProductBias>(Order::kChapter)},
      {"parameters",
       "DotProductBias of raw parameters",
       0.1,
       {0.9370, 0.8850, 0.8385, 0.8236, 0.8243},
       maker<ParameterBias>(normal_table)},
      {"learner",
       "collab_learner",
       0.1,
       {0.9538, 0.8781, 0.8347, 0.8215, 0.8217},
       maker<DotProductBias>(Order::kLibrary)},
      {"nn",
       "CollabNN, a hidden layer of 100",
       0.01,
       {0.9598, 0.9052, 0.8752, 0.8675, 0.8675},
       maker<CollabNN>(chapter_layers)},
      {"learner-nn",
       "collab_learner with use_nn, layers of 100 and 50",
       0.1,
       {0.9724, 0.9223, 0.8934, 0.8650, 0.8649},
       maker<CollabNN>(library_layers)},
      {"bias-decay-indexed",
       "bias-decay with indexed parameters",
       0.1,
       {},
       maker<ParameterBias>(fastai_table)},
  };
  return recipes;
}

const CollabRecipe& find_collab_recipe(const std::string& name) {
  std::string names;
  for (const CollabRecipe& recipe : collab_recipes()) {
    if (recipe.name == name) {
      return recipe;
    }
    names += (names.empty() ? "" : ", ") + recipe.name;
  }
  throw std::invalid_argument("no model is called '" + name + "'; there are " + names);
}

at::Tensor predict_stars(const at::Tensor& users, const at::Tensor& items) {
  const std::int64_t num_factors = users.size(1) - 1;
  const at::Tensor dots =
      (users.narrow(1, 0, num_factors) * items.narrow(1, 0, num_factors)).sum(1, /*keepdim=*/true);
  return to_stars(dots + (users.narrow(1, num_factors, 1) + items.narrow(1, num_factors, 1)));
}

}  // namespace rowlane::examples
