// Kernels that are each wrong in one way, under names and template arguments that check_kernels.py
// has expectations for.
#include "cuda/policy.h"
#include "cuda/simt/simt.cuh"

namespace rowlane::kernels {

template <int kVecBytes, bool kIsStaged, typename IndexT>
__global__ void gather_kernel(const IndexT* __restrict__ indices, const void* table, void* out);

// Moves 4 bytes at a time where 16 are possible.
template <>
__global__ void __launch_bounds__(kBlockThreads) gather_kernel<16, false, std::int32_t>(
    const std::int32_t* __restrict__ indices, const void* table, void* out) {
  const std::int64_t row = simt::load_nc(indices + simt::block_id());
  const auto word = simt::load_nc(static_cast<const std::uint32_t*>(table) + row * kBlockThreads +
                                  simt::thread_id());
  simt::store(
      static_cast<std::uint32_t*>(out) + simt::block_id() * kBlockThreads + simt::thread_id(),
      word);
}

// Loads the table as if another thread could write it, past the read-only path.
template <>
__global__ void __launch_bounds__(kBlockThreads) gather_kernel<8, false, std::int32_t>(
    const std::int32_t* __restrict__ indices, const void* table, void* out) {
  using Chunk = simt::Bytes<8>;
  const std::int64_t row = simt::load_nc(indices + simt::block_id());
  const Chunk chunk =
      simt::load(static_cast<const Chunk*>(table) + row * kBlockThreads + simt::thread_id());
  simt::store(static_cast<Chunk*>(out) + simt::block_id() * kBlockThreads + simt::thread_id(),
              chunk);
}

// Has no launch bound.
template <>
__global__ void gather_kernel<4, false, std::int32_t>(const std::int32_t* __restrict__ indices,
                                                      const void* table, void* out) {
  const std::int64_t row = simt::load_nc(indices + simt::block_id());
  const auto word = simt::load_nc(static_cast<const std::uint32_t*>(table) + row);
  simt::store(static_cast<std::uint32_t*>(out) + simt::block_id(), word);
}

// Asks an atomic for its result, which costs a round trip to L2.
template <typename ElemT, int kElems, typename IndexT>
__global__ void __launch_bounds__(kBlockThreads)
    scatter_atomic_kernel(const ElemT* __restrict__ grad, const IndexT* __restrict__ indices,
                          ElemT* table, ElemT* before) {
  const std::int64_t row = simt::load_nc(indices + simt::thread_id());
  simt::store(before + simt::thread_id(),
              simt::atomic_add(table + row, simt::load_nc(grad + simt::thread_id())));
}
template __global__ void scatter_atomic_kernel<float, 4, std::int64_t>(const float*,
                                                                       const std::int64_t*, float*,
                                                                       float*);

// Indexes an array at run time, which puts it into local memory.
template <typename IndexT, typename KeyT>
__global__ void __launch_bounds__(kBlockThreads)
    make_pairs_kernel(const IndexT* __restrict__ indices, KeyT* keys) {
  KeyT seen[32] = {};
  for (int i = 0; i < 64; ++i) {
    seen[simt::load_nc(indices + i) & 31] += static_cast<KeyT>(i);
  }
  simt::store(keys + simt::thread_id(), seen[simt::load_nc(indices + simt::thread_id()) & 31]);
}
template __global__ void make_pairs_kernel<std::int32_t, std::uint32_t>(const std::int32_t*,
                                                                        std::uint32_t*);

// Multiplies kValues values by their sum, so that all are alive at once.
template <int kValues>
ROWLANE_DEVICE void scale_by_sum(const float* in, float* out) {
  float values[kValues];
  float sum = 0;
  ROWLANE_UNROLL
  for (int i = 0; i < kValues; ++i) {
    values[i] = simt::load(in + i * kBlockThreads + simt::thread_id());
    sum += values[i];
  }
  ROWLANE_UNROLL
  for (int i = 0; i < kValues; ++i) {
    simt::store(out + i * kBlockThreads + simt::thread_id(), values[i] * sum);
  }
}

template <typename KeyT>
__global__ void count_runs_kernel(const float* in, float* out);

// Needs more registers than 8 blocks per SM leave it.
template <>
__global__ void __launch_bounds__(kBlockThreads,
                                  8) count_runs_kernel<std::uint32_t>(const float* in, float* out) {
  scale_by_sum<64>(in, out);
}

// Takes so many registers that few threads fit.
template <>
__global__ void __launch_bounds__(kBlockThreads) count_runs_kernel<std::uint64_t>(const float* in,
                                                                                  float* out) {
  scale_by_sum<100>(in, out);
}

// Nobody has said what it should do.
__global__ void __launch_bounds__(kBlockThreads) unheard_of_kernel(float* out) {
  simt::store(out + simt::thread_id(), 0);
}

}  // namespace rowlane::kernels
