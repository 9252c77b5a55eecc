#include <cstdlib>
#include <string>

#include "cuda/simt/emulated/emulator.h"
#include "tests/support/devices.h"

namespace rowlane::testing {
namespace {

namespace emulated = simt::emulated;

// ROWLANE_SCHEDULE: inorder (the default), reversed, or shuffled:SEED, which also switches threads
// between their memory accesses.
[[maybe_unused]] const bool configured = [] {
  emulated::Options& options = emulated::options();
  options.check_shared_races = true;
  const char* const value = std::getenv("ROWLANE_SCHEDULE");
  const std::string schedule = value == nullptr ? "inorder" : value;
  if (schedule == "reversed") {
    options.order = emulated::Order::kReversed;
  } else if (schedule.rfind("shuffled:", 0) == 0) {
    options.order = emulated::Order::kShuffled;
    options.seed = std::stoull(schedule.substr(schedule.find(':') + 1));
    options.preempt_every = 3;
  }
  return true;
}();

}  // namespace

bool cpu_is_emulated_device() { return true; }

}  // namespace rowlane::testing
