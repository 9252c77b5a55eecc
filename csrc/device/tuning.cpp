#include "csrc/device/tuning.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "csrc/device/stream.h"

namespace rowlane::device {
namespace {

kernels::Tuning read_tuning(c10::Device device) {
  constexpr const char* kVariable = "ROWLANE_TUNING";
  kernels::Tuning tuning;
  const char* const path = std::getenv(kVariable);
  if (path == nullptr) {
    return tuning;
  }
  std::ostringstream text;
  if (const std::ifstream file(path); file && text << file.rdbuf()) {
    const kernels::Status status = parse_tuning(text.str(), device_name(device), &tuning);
    if (!status.ok()) {
      TORCH_WARN("rowlane: ", kVariable, "=", path, " is not used: it ", status.message());
    }
  } else {
    TORCH_WARN("rowlane: ", kVariable, "=", path, " can't be read");
  }
  return tuning;
}

}  // namespace

const kernels::Tuning& tuning(c10::Device device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, kernels::Tuning> known;
  const std::lock_guard lock(mutex);
  const auto it = known.find(device.index());
  return it != known.end() ? it->second
                           : known.emplace(device.index(), read_tuning(device)).first->second;
}

}  // namespace rowlane::device
