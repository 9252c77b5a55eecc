// What the public functions of rowlane/index_errors.h need of device code.
#pragma once

namespace rowlane::ops {

// Device code, where it is built, says what rowlane::synchronize() is to do.
void set_synchronize(void (*synchronize)());

}  // namespace rowlane::ops
