// The way between host and device, which counts what travels.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

namespace rowlane::examples {

// Copies, even when the device is the CPU, so that the counts are the same there.
class DeviceLink {
 public:
  explicit DeviceLink(at::Device device) : device_(device) {}

  at::Tensor to_device(const at::Tensor& tensor) {
    num_bytes_ += static_cast<std::int64_t>(tensor.nbytes());
    return device_.is_cpu() ? tensor.clone()
                            : tensor.pin_memory().to(device_, /*non_blocking=*/true);
  }
  at::Tensor to_host(const at::Tensor& tensor) {
    num_bytes_ += static_cast<std::int64_t>(tensor.nbytes());
    return device_.is_cpu() ? tensor.clone() : tensor.cpu();
  }

  at::Device device() const { return device_; }
  // In both directions, since the beginning.
  std::int64_t num_bytes() const { return num_bytes_; }

 private:
  at::Device device_;
  std::int64_t num_bytes_ = 0;
};

}  // namespace rowlane::examples
