#include "harness/machine.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/version.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>

#if ROWLANE_BENCH_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace rowlane::bench {
namespace {

std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

std::string cuda_name([[maybe_unused]] at::Device device) {
#if ROWLANE_BENCH_WITH_CUDA
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, device.has_index() ? device.index() : 0) ==
      cudaSuccess) {
    return properties.name;
  }
#endif
  return "unknown GPU";
}

// The first line of what a command prints; empty when it fails.
std::string first_line_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  std::array<char, 256> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) {
    return {};
  }
  std::string text = line.data();
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

std::string find_commit() {
  const char* const given = std::getenv("ROWLANE_COMMIT");
  if (given != nullptr && *given != '\0') {
    return given;
  }
  const std::string found =
      first_line_of("git -C '" ROWLANE_BENCH_SOURCE_DIR "' describe --always --dirty 2>/dev/null");
  return found.empty() ? "unknown" : found;
}

}  // namespace

bool has_cuda_device() {
  return c10::impl::hasDeviceGuardImpl(at::kCUDA) &&
         c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount() > 0;
}

std::string device_name(at::Device device) {
  return device.is_cpu() ? cpu_name() : cuda_name(device);
}

std::string torch_version() { return TORCH_VERSION; }

std::optional<std::string> cuda_version() {
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCUDART()) {
    return std::nullopt;
  }
  const auto version = hooks.versionCUDART();  // 1000 * major + 10 * minor
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string commit() {
  static const std::string found = find_commit();
  return found;
}

std::string utc_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

double load_average() {
  double load = 0.0;
  return getloadavg(&load, 1) == 1 ? load : 0.0;
}

}  // namespace rowlane::bench
