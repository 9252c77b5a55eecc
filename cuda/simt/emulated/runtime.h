// runtime.cuh for a host compiler. Everything is complete when a function returns.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>

#include "cuda/simt/emulated/device.h"

namespace rowlane::simt {

namespace emulated {

using ThreadFunction = void (*)(const void* arguments);

// Runs run_thread(arguments) once for each thread of the grid.
Status run_grid(const LaunchConfig& config, ThreadFunction run_thread, const void* arguments);

}  // namespace emulated

template <typename... Params, typename... Args>
Status launch(void (*kernel)(Params...), const LaunchConfig& config, Args&&... args) {
  struct Call {
    void (*kernel)(Params...);
    std::tuple<Params...> arguments;
  };
  const Call call{kernel, {static_cast<Params>(std::forward<Args>(args))...}};
  return emulated::run_grid(
      config,
      [](const void* p) {
        const Call& self = *static_cast<const Call*>(p);
        std::apply(self.kernel, self.arguments);
      },
      &call);
}

Status memset_async(void* p, int byte, std::int64_t bytes, Stream stream);
Status memcpy_async(void* dst, const void* src, std::int64_t bytes, Stream stream);
Status device_info(DeviceInfo* info);

}  // namespace rowlane::simt
