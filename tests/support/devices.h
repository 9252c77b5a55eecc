// The devices that this process can test.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace rowlane::testing {

// True in the programs that run device code on the emulated device, registered for the CPU.
bool cpu_is_emulated_device();

// True when `device` runs device code rather than the CPU backend.
inline bool runs_device_code(torch::DeviceType device) {
  return device != torch::kCPU || cpu_is_emulated_device();
}

// The CPU, and the GPU when torch sees one.
inline std::vector<torch::DeviceType> devices() {
  std::vector<torch::DeviceType> result{torch::kCPU};
  if (!cpu_is_emulated_device() && torch::cuda::is_available()) {
    result.push_back(torch::kCUDA);
  }
  return result;
}

}  // namespace rowlane::testing
