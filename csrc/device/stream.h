// The one place that knows which device the glue is built for.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "cuda/simt/stream.h"

// The dispatch key that device code is registered for.
#define ROWLANE_DEVICE_KEY CUDA

namespace rowlane::device {

// The stream that torch runs on now, on `device`.
inline kernels::Stream current_stream(c10::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<kernels::Stream>(guard.getStream(device).native_handle());
}

}  // namespace rowlane::device
