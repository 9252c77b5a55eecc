#include "csrc/ops/index_errors.h"

#include <c10/util/Exception.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>

#include "rowlane/index_errors.h"

namespace rowlane {
namespace {

constexpr std::array<std::pair<std::string_view, IndexErrors>, 3> kModes{{
    {"deferred", IndexErrors::kDeferred},
    {"checked", IndexErrors::kChecked},
    {"off", IndexErrors::kOff},
}};

IndexErrors mode_from_environment() {
  constexpr const char* kVariable = "ROWLANE_INDEX_ERRORS";
  const char* const value = std::getenv(kVariable);
  if (value == nullptr) {
    return IndexErrors::kDeferred;
  }
  for (const auto& [name, mode] : kModes) {
    if (name == value) {
      return mode;
    }
  }
  TORCH_CHECK_VALUE(false, kVariable, " must be 'deferred', 'checked' or 'off', got '", value, "'");
}

std::atomic<IndexErrors>& process_mode() {
  static std::atomic<IndexErrors> mode{mode_from_environment()};
  return mode;
}

thread_local std::optional<IndexErrors> thread_mode;

std::atomic<void (*)()> device_synchronize{nullptr};

}  // namespace

std::string_view to_string(IndexErrors mode) {
  for (const auto& [name, value] : kModes) {
    if (value == mode) {
      return name;
    }
  }
  TORCH_CHECK_VALUE(false, "rowlane::to_string: not an IndexErrors: ", static_cast<int>(mode));
}

void set_index_errors(IndexErrors mode) { process_mode() = mode; }

IndexErrors index_errors() { return thread_mode.value_or(process_mode()); }

IndexErrorsGuard::IndexErrorsGuard(IndexErrors mode)
    : previous_(std::exchange(thread_mode, mode)) {}
IndexErrorsGuard::~IndexErrorsGuard() { thread_mode = previous_; }

void synchronize() {
  if (void (*const wait)() = device_synchronize) {
    wait();
  }
}

namespace ops {

void set_synchronize(void (*synchronize)()) { device_synchronize = synchronize; }

}  // namespace ops
}  // namespace rowlane
