// simt.cuh for a host compiler: every function is executed, checked and counted on the CPU.
//
// The defaulted last argument is the place of the call, which stands for the program counter.
#pragma once

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/simt/emulated/keywords.h"
#include "cuda/simt/emulated/numbers.h"
#include "cuda/simt/emulated/processor.h"
#include "cuda/simt/hint.h"
#include "cuda/simt/vec.cuh"
#include "cuda/simt/warp.h"

namespace rowlane::simt {

using emulated::current_processor;
using emulated::kValueKind;
using emulated::MemoryOp;
using emulated::Site;

ROWLANE_DEVICE int thread_id() { return current_processor->thread_id(); }
ROWLANE_DEVICE std::int64_t block_id() { return current_processor->block_x(); }
ROWLANE_DEVICE int block_id_y() { return static_cast<int>(current_processor->block_y()); }
ROWLANE_DEVICE int block_size() { return current_processor->grid().block_threads; }
ROWLANE_DEVICE std::int64_t grid_size() { return current_processor->grid().size_x; }
ROWLANE_DEVICE int lane_id() { return thread_id() % kWarpSize; }
ROWLANE_DEVICE int warp_id() { return thread_id() / kWarpSize; }

inline void sync_block(Site site = Site::current()) { current_processor->barrier(site); }
inline void sync_warp(std::uint32_t mask = kFullMask, Site site = Site::current()) {
  current_processor->collective(emulated::Collective::kSyncWarp, mask, 0, 0,
                                emulated::ValueKind::kData, site);
}
inline void fence_device() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void fence_system() { fence_device(); }

inline int popc(std::uint32_t x) { return std::popcount(x); }
inline int ffs(std::uint32_t x) { return x == 0 ? 0 : std::countr_zero(x) + 1; }
inline int clz(std::uint32_t x) { return std::countl_zero(x); }

using std::pow;
using std::sqrt;

namespace emulated {

// What CUDA's shuffles and matches take.
template <typename T>
concept WarpValue =
    std::is_arithmetic_v<T> || std::is_same_v<T, half> || std::is_same_v<T, bfloat16>;

template <WarpValue T>
std::uint64_t to_raw(T value) {
  std::uint64_t raw = 0;
  std::memcpy(&raw, &value, sizeof(value));
  return raw;
}

template <WarpValue T>
T shuffle(std::uint32_t mask, T value, int source_lane, const Site& site) {
  const std::uint64_t raw = current_processor->collective(Collective::kShuffle, mask, to_raw(value),
                                                          source_lane, kValueKind<T>, site);
  T result;
  std::memcpy(&result, &raw, sizeof(result));
  return result;
}

// First and last lane of the caller's group of `width` lanes.
inline int group_begin(int width) { return lane_id() & ~(width - 1); }
inline int group_last(int width) { return lane_id() | (width - 1); }

}  // namespace emulated

template <typename T>
T shfl(std::uint32_t mask, T value, int lane, int width = kWarpSize, Site site = Site::current()) {
  return emulated::shuffle(mask, value, emulated::group_begin(width) | (lane & (width - 1)), site);
}
// Where the source lane is outside the group, a lane gets its own value.
template <typename T>
T shfl_up(std::uint32_t mask, T value, int delta, int width = kWarpSize,
          Site site = Site::current()) {
  const int source = lane_id() - delta;
  return emulated::shuffle(mask, value, source < emulated::group_begin(width) ? lane_id() : source,
                           site);
}
template <typename T>
T shfl_down(std::uint32_t mask, T value, int delta, int width = kWarpSize,
            Site site = Site::current()) {
  const int source = lane_id() + delta;
  return emulated::shuffle(mask, value, source > emulated::group_last(width) ? lane_id() : source,
                           site);
}
template <typename T>
T shfl_xor(std::uint32_t mask, T value, int lane_mask, int width = kWarpSize,
           Site site = Site::current()) {
  const int source = lane_id() ^ lane_mask;
  return emulated::shuffle(mask, value, source > emulated::group_last(width) ? lane_id() : source,
                           site);
}
inline std::uint32_t ballot(std::uint32_t mask, bool pred, Site site = Site::current()) {
  return static_cast<std::uint32_t>(current_processor->collective(
      emulated::Collective::kBallot, mask, static_cast<std::uint64_t>(pred), 0,
      emulated::ValueKind::kIndex, site));
}
inline bool any(std::uint32_t mask, bool pred, Site site = Site::current()) {
  return ballot(mask, pred, site) != 0;
}
inline bool all(std::uint32_t mask, bool pred, Site site = Site::current()) {
  return ballot(mask, !pred, site) == 0;
}
template <typename T>
std::uint32_t match_any(std::uint32_t mask, T value, Site site = Site::current()) {
  return static_cast<std::uint32_t>(
      current_processor->collective(emulated::Collective::kMatch, mask, emulated::to_raw(value), 0,
                                    emulated::ValueKind::kIndex, site));
}

namespace emulated {

// One access moves 1, 2, 4, 8 or 16 bytes.
template <typename T>
concept AccessUnit = std::is_trivially_copyable_v<T> && std::has_single_bit(sizeof(T)) &&
                     sizeof(T) <= 16;

inline bool is_aligned(const void* p, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

// Copied as bytes: kernels reinterpret pointers to wider types, which the language would not let
// them dereference.
template <AccessUnit T>
ROWLANE_DEVICE T copy_from(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

// Replaces the value at `p` by update(old) and returns the old one; atomically where blocks run in
// parallel.
template <typename T, typename Update>
T read_modify_write(void* p, Update update) {
  if (!current_processor->grid().parallel) {
    const T old = copy_from<T>(p);
    const T updated = update(old);
    std::memcpy(p, &updated, sizeof(T));
    return old;
  }
  std::atomic_ref<T> target(*static_cast<T*>(p));
  T old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, update(old), std::memory_order_relaxed)) {
  }
  return old;
}

// Integer sums wrap around, as on the device.
template <typename T>
T wrapping_sum(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  } else {
    return a + b;
  }
}

// The types that CUDA has atomics for on every architecture.
template <typename T>
concept AtomicInteger = std::is_integral_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);
template <typename T>
concept AtomicNumber = AtomicInteger<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

}  // namespace emulated

template <Hint kHint = Hint::kNone, emulated::AccessUnit T>
ROWLANE_DEVICE T load_nc(const T* p, Site site = Site::current()) {
  current_processor->access_global(
      p, sizeof(T), {MemoryOp::kLoad, kHint, kValueKind<T>, /*read_only=*/true}, site);
  return emulated::copy_from<T>(p);
}

template <emulated::AccessUnit T>
ROWLANE_DEVICE T load(const T* p, Site site = Site::current()) {
  current_processor->access_global(p, sizeof(T), {MemoryOp::kLoad, Hint::kNone, kValueKind<T>},
                                   site);
  return emulated::copy_from<T>(p);
}

template <Hint kHint = Hint::kNone, emulated::AccessUnit T>
ROWLANE_DEVICE void store(T* p, std::type_identity_t<T> value, Site site = Site::current()) {
  current_processor->access_global(p, sizeof(T), {MemoryOp::kStore, kHint}, site);
  std::memcpy(static_cast<void*>(p), &value, sizeof(T));
}

// One access where the architecture has vector reductions, one for each element elsewhere.
template <typename T, int N>
ROWLANE_DEVICE void reduce_add(T* p, Vec<T, N> x, Site site = Site::current()) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>);
  const bool vector = current_processor->grid().options.device->info.compute_capability >= 90 &&
                      std::is_same_v<T, float>;
  if (vector || !emulated::is_aligned(p, sizeof(x))) {
    // A kernel must run on every architecture, so alignment is asked for on all of them.
    current_processor->access_global(p, sizeof(x), {MemoryOp::kReduce}, site);
  }
  for (int i = 0; i < N; ++i) {
    if (!vector) {
      current_processor->access_global(p + i, sizeof(T), {MemoryOp::kReduce}, site);
    }
    emulated::read_modify_write<T>(p + i, [&](T old) { return old + x.v[i]; });
  }
}

namespace emulated {

template <typename T, typename Update>
T atomic_update(T* p, Update update, const Site& site) {
  current_processor->access_global(p, sizeof(T), {MemoryOp::kAtomic, Hint::kNone, kValueKind<T>},
                                   site);
  return read_modify_write<T>(p, update);
}

}  // namespace emulated

template <emulated::AtomicNumber T>
T atomic_add(T* p, std::type_identity_t<T> value, Site site = Site::current()) {
  return emulated::atomic_update(
      p, [value](T old) { return emulated::wrapping_sum(old, value); }, site);
}
template <emulated::AtomicInteger T>
T atomic_min(T* p, std::type_identity_t<T> value, Site site = Site::current()) {
  return emulated::atomic_update(
      p, [value](T old) { return value < old ? value : old; }, site);
}
template <emulated::AtomicInteger T>
T atomic_max(T* p, std::type_identity_t<T> value, Site site = Site::current()) {
  return emulated::atomic_update(
      p, [value](T old) { return old < value ? value : old; }, site);
}

template <typename T>
class Shared {
 public:
  explicit Shared(emulated::SharedWindow window) : window_(window) {}

  T load(int i, Site site = Site::current()) const {
    T value;
    std::memcpy(&value, element(i, MemoryOp::kLoad, site), sizeof(T));
    return value;
  }
  void store(int i, T value, Site site = Site::current()) const {
    std::memcpy(element(i, MemoryOp::kStore, site), &value, sizeof(T));
  }
  // A block runs on one host thread, so this needs no atomic instruction.
  void add(int i, T value, Site site = Site::current()) const {
    char* p = element(i, MemoryOp::kReduce, site);
    T old;
    std::memcpy(&old, p, sizeof(T));
    const T sum = emulated::wrapping_sum(old, value);
    std::memcpy(p, &sum, sizeof(T));
  }

 private:
  char* element(int i, MemoryOp op, const Site& site) const {
    return current_processor->access_shared(window_, i, sizeof(T), alignof(T), {op}, site);
  }

  emulated::SharedWindow window_;
};

template <typename Tag, typename T, int N>
Shared<T> shared(Site site = Site::current()) {
  static const char kKey = 0;  // its address names the array
  return Shared<T>(current_processor->static_shared(&kKey, sizeof(T) * N, site));
}

template <typename T>
Shared<T> shared_dynamic(int byte_offset = 0, Site site = Site::current()) {
  return Shared<T>(current_processor->dynamic_shared(byte_offset, site));
}

}  // namespace rowlane::simt
