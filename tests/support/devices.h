// The devices that this process can test.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace rowlane::testing {

// The CPU, and the GPU when torch sees one.
inline std::vector<torch::DeviceType> devices() {
  std::vector<torch::DeviceType> result{torch::kCPU};
  if (torch::cuda::is_available()) {
    result.push_back(torch::kCUDA);
  }
  return result;
}

}  // namespace rowlane::testing
