// The facts about a device that launch policies are chosen from.
#pragma once

#include <cstdint>

namespace rowlane::kernels {

struct DeviceInfo {
  int num_sms = 0;
  int compute_capability = 0;  // major * 10 + minor
  int max_threads_per_sm = 0;
  std::int64_t l2_bytes = 0;
  std::int64_t shared_bytes_per_block = 0;  // the opt-in maximum
};

}  // namespace rowlane::kernels
