// Whether a one-hot product is worth starting: it may need more memory than there is, or minutes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "workloads/workload.h"

namespace rowlane::bench {

// The peak of a forward and backward pass: either while the int64 one-hot matrix and its converted
// copy both exist, or with the copy, output and gradient.
std::int64_t one_hot_bytes(const Problem& problem);

struct OneHotVerdict {
  // Empty when it can run.
  std::string reason_to_skip;
  // What a forward and backward pass takes, extrapolated from a few rows; 0 for small problems.
  double predicted_s = 0.0;
};

// Compares the memory that is needed with what is free, and runs pilots with few of the indices to
// predict the time.
OneHotVerdict judge_one_hot(const std::string& name, const Problem& problem,
                            const at::Tensor& table, const at::Tensor& indices,
                            const at::Tensor& output_grad, double limit_s);

}  // namespace rowlane::bench
