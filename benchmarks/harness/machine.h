// The machine and the build that the figures are from.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

namespace rowlane::bench {

bool has_cuda_device();

// "AMD EPYC 7B13", "NVIDIA H100 80GB HBM3".
std::string device_name(at::Device device);

std::string torch_version();
// "13.0"; nothing when torch was built without CUDA.
std::optional<std::string> cuda_version();

// From the environment variable ROWLANE_COMMIT, else from git in the source tree, else "unknown";
// as of the first call.
std::string commit();

// Now, in UTC: "2026-11-22T18:00:00Z".
std::string utc_date();

// Running and waiting threads over the last minute.
double load_average();

}  // namespace rowlane::bench
