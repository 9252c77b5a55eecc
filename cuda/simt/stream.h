// The stream type of the host API, declared without a CUDA header so that plain C++ can include it.
#pragma once

struct CUstream_st;

namespace rowlane::kernels {

// The same type as cudaStream_t. The emulated device has one implicit stream and ignores it.
using Stream = CUstream_st*;

}  // namespace rowlane::kernels
