// The one place that knows which device the glue is built for.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "cuda/simt/stream.h"

// The dispatch key that device code is registered for.
#ifdef ROWLANE_EMULATED
#define ROWLANE_DEVICE_KEY CPU
#else
#define ROWLANE_DEVICE_KEY CUDA
#endif

namespace rowlane::device {

// The stream that torch runs on now, on `device`.
inline kernels::Stream current_stream(c10::Device device) {
#ifdef ROWLANE_EMULATED
  static_cast<void>(device);
  return nullptr;
#else
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<kernels::Stream>(guard.getStream(device).native_handle());
#endif
}

}  // namespace rowlane::device
