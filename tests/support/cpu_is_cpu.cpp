#include "tests/support/devices.h"

namespace rowlane::testing {

bool cpu_is_emulated_device() { return false; }

}  // namespace rowlane::testing
