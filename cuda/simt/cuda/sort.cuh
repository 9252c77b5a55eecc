// sort.cuh for nvcc: CUB's onesweep radix sort.
#pragma once

#include <cstddef>
#include <cub/device/device_radix_sort.cuh>

namespace rowlane::simt {

template <typename Key, typename Value>
Status sort_pairs_bytes(std::int64_t n, int bits, std::int64_t* temp_bytes) {
  std::size_t bytes = 0;
  ROWLANE_RETURN_IF_ERROR(
      check(cub::DeviceRadixSort::SortPairs(
                nullptr, bytes, static_cast<const Key*>(nullptr), static_cast<Key*>(nullptr),
                static_cast<const Value*>(nullptr), static_cast<Value*>(nullptr), n, 0, bits),
            "cub::DeviceRadixSort::SortPairs (temporary size)"));
  *temp_bytes = static_cast<std::int64_t>(bytes);
  return {};
}

template <typename Key, typename Value>
Status sort_pairs(void* temp, std::int64_t temp_bytes, const Key* keys_in, Key* keys_out,
                  const Value* values_in, Value* values_out, std::int64_t n, int bits,
                  Stream stream) {
  auto bytes = static_cast<std::size_t>(temp_bytes);
  return check(cub::DeviceRadixSort::SortPairs(temp, bytes, keys_in, keys_out, values_in,
                                               values_out, n, 0, bits, stream),
               "cub::DeviceRadixSort::SortPairs");
}

}  // namespace rowlane::simt
