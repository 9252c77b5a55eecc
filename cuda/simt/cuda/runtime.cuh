// runtime.cuh for nvcc: the CUDA runtime and CUB. Every call is checked here and nowhere else.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "cuda/simt/cuda/device.cuh"

namespace rowlane::simt {

inline Status check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) {
    return {};
  }
  return Status::error(std::string(what) + ": " + cudaGetErrorName(error) + ": " +
                       cudaGetErrorString(error));
}

inline std::string describe(const LaunchConfig& config) {
  return std::string(config.name) + " <<<(" + std::to_string(config.grid_x) + ", " +
         std::to_string(config.grid_y) + "), " + std::to_string(config.block_threads) + ", " +
         std::to_string(config.dynamic_shared_bytes) + " B shared>>>";
}

template <typename... Params, typename... Args>
Status launch(void (*kernel)(Params...), const LaunchConfig& config, Args&&... args) {
  constexpr std::int64_t kSharedWithoutOptIn = 48 << 10;
  if (config.dynamic_shared_bytes > kSharedWithoutOptIn) {
    ROWLANE_RETURN_IF_ERROR(
        check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(config.dynamic_shared_bytes)),
              describe(config).c_str()));
  }
  if (config.grid_x < 1 || config.grid_x > 0x7fffffff || config.grid_y < 1 ||
      config.grid_y > 65535) {
    return Status::error(describe(config) + ": the grid is out of range");
  }
  cudaLaunchConfig_t launch_config{};
  launch_config.gridDim =
      dim3(static_cast<unsigned>(config.grid_x), static_cast<unsigned>(config.grid_y));
  launch_config.blockDim = dim3(static_cast<unsigned>(config.block_threads));
  launch_config.dynamicSmemBytes = static_cast<std::size_t>(config.dynamic_shared_bytes);
  launch_config.stream = config.stream;
  const cudaError_t error =
      cudaLaunchKernelEx(&launch_config, kernel, static_cast<Params>(std::forward<Args>(args))...);
  return error == cudaSuccess ? Status() : check(error, describe(config).c_str());
}

inline Status memset_async(void* p, int byte, std::int64_t bytes, Stream stream) {
  return check(cudaMemsetAsync(p, byte, static_cast<std::size_t>(bytes), stream), "memset");
}

inline Status memcpy_async(void* dst, const void* src, std::int64_t bytes, Stream stream) {
  return check(
      cudaMemcpyAsync(dst, src, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream),
      "memcpy");
}

inline Status query_device_info(int device, DeviceInfo* info) {
  const auto query = [device](cudaDeviceAttr attribute, auto* value) {
    int result = 0;
    const cudaError_t error = cudaDeviceGetAttribute(&result, attribute, device);
    *value = result;
    return check(error, "cudaDeviceGetAttribute");
  };
  int major = 0;
  int minor = 0;
  ROWLANE_RETURN_IF_ERROR(query(cudaDevAttrMultiProcessorCount, &info->num_sms));
  ROWLANE_RETURN_IF_ERROR(query(cudaDevAttrComputeCapabilityMajor, &major));
  ROWLANE_RETURN_IF_ERROR(query(cudaDevAttrComputeCapabilityMinor, &minor));
  ROWLANE_RETURN_IF_ERROR(query(cudaDevAttrMaxThreadsPerMultiProcessor, &info->max_threads_per_sm));
  ROWLANE_RETURN_IF_ERROR(query(cudaDevAttrL2CacheSize, &info->l2_bytes));
  ROWLANE_RETURN_IF_ERROR(
      query(cudaDevAttrMaxSharedMemoryPerBlockOptin, &info->shared_bytes_per_block));
  info->compute_capability = major * 10 + minor;
  return {};
}

// Attribute queries cost microseconds, so each device is asked once.
inline Status device_info(DeviceInfo* info) {
  static std::mutex mutex;
  static std::map<int, DeviceInfo> known;
  int device = 0;
  ROWLANE_RETURN_IF_ERROR(check(cudaGetDevice(&device), "cudaGetDevice"));
  const std::lock_guard lock(mutex);
  if (const auto it = known.find(device); it != known.end()) {
    *info = it->second;
    return {};
  }
  ROWLANE_RETURN_IF_ERROR(query_device_info(device, info));
  known[device] = *info;
  return {};
}

}  // namespace rowlane::simt
