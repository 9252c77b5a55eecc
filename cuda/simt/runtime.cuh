// What a launcher may use of the hardware, and nothing else: launches, memory, device properties.
//
//   launch(kernel, LaunchConfig, args...)   asynchronous; the error names kernel, grid and block
//   memset_async(p, byte, bytes, stream)
//   memcpy_async(dst, src, bytes, stream)   device to device
//   device_info(&info)                      of the current device, cached, no synchronisation
//
// and from simt/sort.cuh, which is a header of its own because CUB is slow to compile:
//
//   sort_pairs_bytes<Key, Value>(n, bits, &bytes)   temporary bytes that sort_pairs needs
//   sort_pairs(temp, temp_bytes, keys_in, keys_out, values_in, values_out, n, bits, stream)
//                                           stable, ascending, compares only the lowest `bits` bits
//
// Implementations: simt/cuda/runtime.cuh (CUDA runtime) and simt/emulated/runtime.h.
#pragma once

#include <cstdint>

#include "cuda/simt/device_info.h"
#include "cuda/simt/simt.cuh"
#include "cuda/simt/status.h"
#include "cuda/simt/stream.h"

namespace rowlane::simt {

using kernels::DeviceInfo;
using kernels::Status;
using kernels::Stream;

struct LaunchConfig {
  const char* name = "";    // of the kernel, for messages
  std::int64_t grid_x = 1;  // blocks; at most 2^31 - 1
  std::int64_t grid_y = 1;  // at most 65535
  int block_threads = 1;    // at most 1024
  std::int64_t dynamic_shared_bytes = 0;
  Stream stream = nullptr;
};

}  // namespace rowlane::simt

#ifdef __CUDACC__
#include "cuda/simt/cuda/runtime.cuh"
#else
#include "cuda/simt/emulated/runtime.h"
#endif
