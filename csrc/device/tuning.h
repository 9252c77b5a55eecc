// The tuning file of rowlane-tune.
#pragma once

#include <c10/core/Device.h>

#include "cuda/tuning.h"

namespace rowlane::device {

// What the file that the environment variable ROWLANE_TUNING names says of `device`, which is the
// current one; the defaults if it says nothing, with a warning if that is a mistake. Read once.
const kernels::Tuning& tuning(c10::Device device);

}  // namespace rowlane::device
