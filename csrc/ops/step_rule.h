// The rules of the optimizers' steps, and their numbers; no torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rowlane::ops {

// What happens to a row w, whose gradients have the sum g. t is the number of the step, from 1 on.
enum class StepRule : std::uint8_t {
  // g += weight_decay w; buf = momentum buf + (1 - dampening) g (in step 1: g); w -= lr d, where d
  // is buf, or with nesterov g + momentum buf; without momentum g. State: buf, with momentum.
  // Source: torch.optim.SGD.
  kSgd,
  // g += weight_decay w; sum += g^2; w -= lr g / (sqrt(sum) + eps). State: sum. Source:
  // torch.optim.Adagrad; its lr_decay is part of lr.
  kAdagrad,
  // Adagrad with one number per row: sum += mean(g^2). State: sum [V]. Source: FBGEMM,
  // EXACT_ROWWISE_ADAGRAD.
  kRowWiseAdagrad,
  // g += weight_decay w; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
  // w -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps). State: m, v and, of AMSGrad, the
  // largest v. Source: torch.optim.Adam and, decoupled, torch.optim.AdamW.
  kAdam,
  // m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v);
  // w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps): eps comes before the correction
  // of the bias. State: m, v. Source: torch.optim.SparseAdam.
  kSparseAdam,
  // Adam with one v per row: v = beta2 v + (1 - beta2) mean(g^2). State: m, v [V]. Source: FBGEMM,
  // PARTIAL_ROWWISE_ADAM.
  kPartialRowWiseAdam,
  // r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w;
  // w -= lr |w| / |r| r, and w -= lr r where a norm is zero. State: m, v. Source: You et al.,
  // "Large Batch Optimization for Deep Learning", with a trust ratio per row.
  kLamb,
};

// The numbers of one step, in the order in which the dispatcher ops take them.
struct StepNumbers {
  double lr = 0;
  double weight_decay = 0;
  // 1: w is multiplied by 1 - lr weight_decay before the rest; 0: g += weight_decay w. (LAMB's is
  // part of its formula.)
  double is_decoupled = 0;
  double beta1 = 0;  // SGD: momentum
  double beta2 = 0;  // SGD: dampening
  double eps = 0;
  double is_nesterov = 0;
  double step = 1;  // t

  static constexpr std::size_t kCount = 8;
  [[nodiscard]] std::vector<double> to_list() const {
    return {lr, weight_decay, is_decoupled, beta1, beta2, eps, is_nesterov, step};
  }
};

}  // namespace rowlane::ops
