#include "tests/support/steps.h"

#include <cmath>

#include "csrc/ops/dispatch.h"

namespace rowlane::testing {
namespace {

using OptionalTensor = std::optional<torch::Tensor>;

OptionalTensor map(const OptionalTensor& tensor, const auto& f) {
  return tensor ? OptionalTensor(f(*tensor)) : std::nullopt;
}

StepTensors map(const StepTensors& from, const auto& f) {
  StepTensors result = from;
  result.weight = f(from.weight);
  for (auto& state : result.state) {
    state = f(state);
  }
  result.row_steps = map(from.row_steps, f);
  result.master = map(from.master, f);
  return result;
}

double norm(const std::vector<double>& row) {
  double sum = 0;
  for (const double value : row) {
    sum += value * value;
  }
  return std::sqrt(sum);
}

}  // namespace

std::vector<RuleCase> rule_cases() {
  const StepNumbers sgd{.lr = 0.1};
  StepNumbers sgd_decay = sgd;
  sgd_decay.weight_decay = 0.05;
  StepNumbers sgd_decoupled = sgd_decay;
  sgd_decoupled.is_decoupled = true;
  StepNumbers momentum = sgd_decay;
  momentum.beta1 = 0.9;
  momentum.beta2 = 0.1;
  momentum.step = 4;
  StepNumbers first_momentum = momentum;
  first_momentum.step = 1;
  StepNumbers nesterov = momentum;
  nesterov.beta2 = 0;
  nesterov.is_nesterov = true;
  const StepNumbers adagrad{.lr = 0.1, .weight_decay = 0.02, .eps = 1e-10, .step = 3};
  const StepNumbers adam{.lr = 0.02, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-4, .step = 5};
  StepNumbers adam_decay = adam;
  adam_decay.weight_decay = 0.03;
  StepNumbers adamw = adam_decay;
  adamw.is_decoupled = true;
  return {
      {"Sgd", "sgd", sgd, 0},
      {"SgdWeightDecay", "sgd", sgd_decay, 0},
      {"SgdDecoupled", "sgd", sgd_decoupled, 0},
      {"Momentum", "sgd", momentum, 1},
      {"FirstMomentum", "sgd", first_momentum, 1},
      {"Nesterov", "sgd", nesterov, 1},
      {"Adagrad", "adagrad", adagrad, 1},
      {"RowWiseAdagrad", "rowwise_adagrad", adagrad, 1, true},
      {"Adam", "adam", adam, 2},
      {"AdamWeightDecay", "adam", adam_decay, 2},
      {"AdamW", "adam", adamw, 2},
      {"AmsGrad", "adam", adam, 3},
      {"SparseAdam", "sparse_adam", adam_decay, 2},  // whose formula has no decay
      {"PartialRowWiseAdam", "partial_rowwise_adam", adamw, 2, true},
      {"Lamb", "lamb", adam_decay, 2},
  };
}

RuleCase rule_case(std::string_view name) {
  for (const RuleCase& rule : rule_cases()) {
    if (rule.name == name) {
      return rule;
    }
  }
  TORCH_CHECK(false, "no rule ", name);
}

StepTensors StepTensors::clone() const {
  return map(*this, [](const torch::Tensor& tensor) { return tensor.clone(); });
}

StepTensors StepTensors::to(torch::DeviceType device) const {
  return map(*this, [device](const torch::Tensor& tensor) { return tensor.to(device); });
}

void StepTensors::row_step(const torch::Tensor& rows, const torch::Tensor& values,
                           const RuleCase& rule) const {
  ops::find_op<ops::RowStepOp>().call(weight, state, row_steps, counts_rows, master, seed, rows,
                                      values, rule.rule, ops::to_list(rule.numbers));
}

void StepTensors::embedding_step(const torch::Tensor& grad_output, const torch::Tensor& indices,
                                 const RuleCase& rule, std::optional<std::int64_t> padding_idx,
                                 bool scale_grad_by_freq) const {
  ops::find_op<ops::EmbeddingStepOp>().call(
      weight, state, row_steps, counts_rows, master, seed, grad_output, indices, rule.rule,
      ops::to_list(rule.numbers), padding_idx, scale_grad_by_freq);
}

void StepTensors::catch_up(const std::optional<torch::Tensor>& indices, const char* rule,
                           const std::vector<StepNumbers>& history, std::int64_t last_step) const {
  std::vector<double> numbers;
  for (const StepNumbers& line : history) {
    const auto list = ops::to_list(line);
    numbers.insert(numbers.end(), list.begin(), list.end());
  }
  const auto lines = torch::tensor(numbers, torch::kDouble)
                         .view({-1, static_cast<std::int64_t>(ops::kNumStepNumbers)});
  ops::find_op<ops::RowCatchUpOp>().call(weight, state, *row_steps, master, seed, indices, rule,
                                         lines, last_step);
}

StepTensors random_table(const RuleCase& rule, std::int64_t num_rows, std::int64_t dim,
                         torch::ScalarType dtype, torch::ScalarType state_dtype) {
  torch::manual_seed(11);
  const auto random = [&] { return torch::rand({num_rows, dim}, torch::kDouble) * 2 - 1; };
  StepTensors result;
  result.weight = random().to(dtype);
  const std::string_view name = rule.rule;
  for (int k = 0; k < rule.num_states; ++k) {
    const bool is_momentum = k == 0 && name != "adagrad" && name != "rowwise_adagrad";
    auto state = is_momentum ? random() : random().abs() + 0.1;
    if (rule.last_is_per_row && k + 1 == rule.num_states) {
      state = state.select(1, 0).contiguous().to(dtype == torch::kDouble ? dtype : torch::kFloat);
      result.state.push_back(state);
    } else {
      result.state.push_back(state.to(state_dtype));
    }
  }
  return result;
}

StepReference::StepReference(const StepTensors& tensors) {
  const auto wide = [](const torch::Tensor& tensor) {
    return tensor.detach().to(torch::kCPU, torch::kDouble).clone();
  };
  weight_ = wide(tensors.master.value_or(tensors.weight));
  for (const auto& state : tensors.state) {
    state_.push_back(wide(state));
  }
}

void StepReference::step(std::int64_t row, const torch::Tensor& grad, const RuleCase& rule,
                         std::int64_t t) {
  const StepNumbers& n = rule.numbers;
  const std::string_view name = rule.rule;
  const auto dim = static_cast<std::size_t>(weight_.size(1));
  const auto row_of = [&](const torch::Tensor& tensor) {
    return tensor.data_ptr<double>() + row * (tensor.dim() == 2 ? tensor.size(1) : 1);
  };
  double* const w = row_of(weight_);
  std::vector<double*> state;
  for (const auto& tensor : state_) {
    state.push_back(row_of(tensor));
  }
  const double* const first = grad.const_data_ptr<double>();
  std::vector<double> g(first, first + dim);

  if (name != "lamb" && name != "sparse_adam") {
    for (std::size_t c = 0; c < dim; ++c) {
      if (n.is_decoupled) {
        w[c] *= 1 - n.lr * n.weight_decay;
      } else {
        g[c] += n.weight_decay * w[c];
      }
    }
  }
  const double mean = norm(g) * norm(g) / static_cast<double>(dim);
  const double bias1 = 1 - std::pow(n.beta1, t);
  const double bias2 = 1 - std::pow(n.beta2, t);
  std::vector<double> ratio(dim);  // LAMB's r
  if (name == "rowwise_adagrad") {
    *state[0] += mean;
  } else if (name == "partial_rowwise_adam") {
    *state[1] = n.beta2 * *state[1] + (1 - n.beta2) * mean;
  }
  for (std::size_t c = 0; c < dim; ++c) {
    if (name == "sgd" && state.empty()) {
      w[c] -= n.lr * g[c];
    } else if (name == "sgd") {
      double& buffer = state[0][c];
      buffer = t == 1 ? g[c] : n.beta1 * buffer + (1 - n.beta2) * g[c];
      w[c] -= n.lr * (n.is_nesterov ? g[c] + n.beta1 * buffer : buffer);
    } else if (name == "adagrad") {
      state[0][c] += g[c] * g[c];
      w[c] -= n.lr * g[c] / (std::sqrt(state[0][c]) + n.eps);
    } else if (name == "rowwise_adagrad") {
      w[c] -= n.lr * g[c] / (std::sqrt(*state[0]) + n.eps);
    } else {
      double& m = state[0][c];
      m = n.beta1 * m + (1 - n.beta1) * g[c];
      if (name == "partial_rowwise_adam") {
        w[c] -= n.lr / bias1 * m / (std::sqrt(*state[1] / bias2) + n.eps);
        continue;
      }
      double& v = state[1][c];
      v = n.beta2 * v + (1 - n.beta2) * g[c] * g[c];
      if (name == "sparse_adam") {
        w[c] -= n.lr * std::sqrt(bias2) / bias1 * m / (std::sqrt(v) + n.eps);
      } else if (name == "lamb") {
        ratio[c] = m / bias1 / (std::sqrt(v / bias2) + n.eps) + n.weight_decay * w[c];
      } else {
        double largest = v;
        if (state.size() == 3) {
          largest = state[2][c] = std::max(state[2][c], v);
        }
        w[c] -= n.lr / bias1 * m / (std::sqrt(largest / bias2) + n.eps);
      }
    }
  }
  if (name == "lamb") {
    const double weight_norm = norm(std::vector<double>(w, w + dim));
    const double step_norm = norm(ratio);
    const double trust = weight_norm == 0 || step_norm == 0 ? 1 : weight_norm / step_norm;
    for (std::size_t c = 0; c < dim; ++c) {
      w[c] -= n.lr * trust * ratio[c];
    }
  }
}

}  // namespace rowlane::testing
