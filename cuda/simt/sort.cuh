// Sorting of (key, value) pairs by the lowest bits of the key: CUB, or a stable sort on the
// emulated device.
#pragma once

#include "cuda/simt/runtime.cuh"

#ifdef __CUDACC__
#include "cuda/simt/cuda/sort.cuh"
#else
#include "cuda/simt/emulated/sort.h"
#endif
