// CUDA's keywords, which mean nothing to a host compiler.
#pragma once

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

#define ROWLANE_DEVICE inline __attribute__((always_inline))
#define ROWLANE_UNROLL
#define ROWLANE_NO_UNROLL
