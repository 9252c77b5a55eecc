// A step of each rule in fp64, written from its formula, and the numbers that the tests take.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "cuda/step_rule.h"

namespace rowlane::testing {

// A row before or after a step.
struct ReferenceRow {
  std::vector<double> w;
  std::array<std::vector<double>, 3> states;  // of the rule, those with a number per element
  double row_state = 0;
};

inline ReferenceRow reference_step(const ReferenceRow& old, std::vector<double> g,
                                   kernels::StepRule rule, const kernels::StepNumbers& n,
                                   bool has_momentum, bool is_amsgrad) {
  using kernels::StepRule;
  ReferenceRow row = old;
  const std::size_t dim = g.size();
  const auto t = static_cast<double>(n.step);
  const double bias1 = 1 - std::pow(n.beta1, t);
  const double bias2 = 1 - std::pow(n.beta2, t);
  const bool decays = rule != StepRule::kSparseAdam && rule != StepRule::kLamb;
  for (std::size_t c = 0; c < dim; ++c) {
    if (decays && n.is_decoupled) {
      row.w[c] *= 1 - n.lr * n.weight_decay;
    } else if (decays) {
      g[c] += n.weight_decay * row.w[c];
    }
  }
  double mean = 0;
  for (const double x : g) {
    mean += x * x / static_cast<double>(dim);
  }
  if (rule == StepRule::kRowWiseAdagrad) {
    row.row_state += mean;
  } else if (rule == StepRule::kPartialRowWiseAdam) {
    row.row_state = n.beta2 * row.row_state + (1 - n.beta2) * mean;
  }
  std::vector<double> lamb(dim);
  for (std::size_t c = 0; c < dim; ++c) {
    double& w = row.w[c];
    const auto state = [&](std::size_t which) -> double& { return row.states[which][c]; };
    switch (rule) {
      case StepRule::kSgd: {
        double d = g[c];
        if (has_momentum) {
          state(0) = n.step == 1 ? d : n.beta1 * state(0) + (1 - n.beta2) * d;
          d = n.is_nesterov ? d + n.beta1 * state(0) : state(0);
        }
        w -= n.lr * d;
        break;
      }
      case StepRule::kAdagrad:
        state(0) += g[c] * g[c];
        w -= n.lr * g[c] / (std::sqrt(state(0)) + n.eps);
        break;
      case StepRule::kRowWiseAdagrad:
        w -= n.lr * g[c] / (std::sqrt(row.row_state) + n.eps);
        break;
      case StepRule::kAdam: {
        state(0) = n.beta1 * state(0) + (1 - n.beta1) * g[c];
        state(1) = n.beta2 * state(1) + (1 - n.beta2) * g[c] * g[c];
        double v = state(1);
        if (is_amsgrad) {
          v = state(2) = std::fmax(state(2), v);
        }
        w -= n.lr / bias1 * state(0) / (std::sqrt(v / bias2) + n.eps);
        break;
      }
      case StepRule::kSparseAdam:
        state(0) += (1 - n.beta1) * (g[c] - state(0));
        state(1) += (1 - n.beta2) * (g[c] * g[c] - state(1));
        w -= n.lr * std::sqrt(bias2) / bias1 * state(0) / (std::sqrt(state(1)) + n.eps);
        break;
      case StepRule::kPartialRowWiseAdam:
        state(0) = n.beta1 * state(0) + (1 - n.beta1) * g[c];
        w -= n.lr / bias1 * state(0) / (std::sqrt(row.row_state / bias2) + n.eps);
        break;
      case StepRule::kLamb:
        state(0) = n.beta1 * state(0) + (1 - n.beta1) * g[c];
        state(1) = n.beta2 * state(1) + (1 - n.beta2) * g[c] * g[c];
        lamb[c] = state(0) / bias1 / (std::sqrt(state(1) / bias2) + n.eps) + n.weight_decay * w;
        break;
    }
  }
  if (rule == StepRule::kLamb) {
    double w_norm = 0;
    double r_norm = 0;
    for (std::size_t c = 0; c < dim; ++c) {
      w_norm += row.w[c] * row.w[c];
      r_norm += lamb[c] * lamb[c];
    }
    const double trust = w_norm > 0 && r_norm > 0 ? std::sqrt(w_norm / r_norm) : 1;
    for (std::size_t c = 0; c < dim; ++c) {
      row.w[c] -= n.lr * trust * lamb[c];
    }
  }
  return row;
}

}  // namespace rowlane::testing
