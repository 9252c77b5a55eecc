// What a kernel may use of the hardware, and nothing else: one interface with two implementations.
//
//   nvcc            simt/cuda/device.cuh     every function is one instruction or intrinsic
//   any C++20 host  simt/emulated/device.h   every function is executed, checked and counted
//
// Kernels are written with CUDA's own keywords (__global__, __device__, __launch_bounds__), which
// mean nothing to a host compiler. They never dereference a pointer to global or shared memory:
// they call
//
//   load_nc<Hint>(p)        read-only for the whole kernel (ld.global.nc);
//                           1, 2, 4, 8 or 16 bytes, naturally aligned
//   load(p)                 an ordinary load
//   store<Hint>(p, value)   an ordinary store
//   reduce_add(p, vec)      p[i] += vec.v[i], relaxed, device scope, no result;
//                           as wide as the architecture has
//   atomic_add(p, value)    the same for one element, returns the old value;
//                           atomic_min, atomic_max alike, integers only
//   Shared<T>               a window of shared memory: load(i), store(i, value), add(i, value)
//     shared<Tag, T, N>()   static; Tag is a type declared in the call (`struct Keys`) that names
//                           the array
//     shared_dynamic<T>(o)  dynamic, from byte o
//
// and, for the rest:
//
//   thread_id() block_id() block_id_y() block_size() grid_size() lane_id() warp_id()
//                           in x unless named y
//   sync_block() sync_warp(mask) fence_device() fence_system()
//   shfl shfl_up shfl_down shfl_xor (mask, value, lane or delta, width = 32)
//   ballot any all match_any (mask, predicate or value)
//   popc ffs clz (uint32_t)
//   sqrt pow (float, double)
//   half bfloat16 Accum<T> to_accum(value) from_accum<T>(accum)
//                           to nearest even
//
// Accum<T> is double for double and float for everything else.
#pragma once

#include <cstdint>

#include "cuda/simt/hint.h"
#include "cuda/simt/vec.cuh"
#include "cuda/simt/warp.h"

#ifdef __CUDACC__
#include "cuda/simt/cuda/device.cuh"
#else
#include "cuda/simt/emulated/device.h"
#endif
