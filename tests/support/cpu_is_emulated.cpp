#include "tests/support/devices.h"

namespace rowlane::testing {

bool cpu_is_emulated_device() { return true; }

}  // namespace rowlane::testing
