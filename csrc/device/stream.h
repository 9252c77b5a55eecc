// The one place that knows which device the glue is built for.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <string>

#include "cuda/simt/stream.h"

// The dispatch key that device code is registered for.
#ifdef ROWLANE_EMULATED
#include "cuda/simt/emulated/options.h"
#define ROWLANE_DEVICE_KEY CPU
#else
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#define ROWLANE_DEVICE_KEY CUDA
#endif

namespace rowlane::device {

#ifdef ROWLANE_EMULATED

// Nothing runs behind the caller's back: there is one stream, and no other memory.
inline constexpr bool kPinned = false;
inline kernels::Stream current_stream(c10::Device) { return nullptr; }
inline bool is_capturing(c10::Device) { return false; }
inline void synchronize_stream(c10::Device) {}
inline void synchronize_device(c10::Device) {}
inline std::string device_name(c10::Device) {
  return std::string(simt::emulated::options().device->name);
}

#else

// Host memory that the device can write is pinned.
inline constexpr bool kPinned = true;

// The stream that torch runs on now, on `device`.
inline kernels::Stream current_stream(c10::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<kernels::Stream>(guard.getStream(device).native_handle());
}

// Whether that stream is recorded into a graph. `device` is the current one.
inline bool is_capturing(c10::Device) {
  return c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
}

inline void synchronize_stream(c10::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.synchronizeStream(guard.getStream(device));
}

inline void synchronize_device(c10::Device device) {
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

// "NVIDIA H100 80GB HBM3".
inline std::string device_name(c10::Device device) {
  return at::cuda::getDeviceProperties(device.index())->name;
}

#endif

}  // namespace rowlane::device
