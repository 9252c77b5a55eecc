// sort.cuh for a host compiler: a stable sort, charged with the traffic of a onesweep radix sort.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <vector>

#include "cuda/simt/emulated/runtime.h"

namespace rowlane::simt {

namespace emulated {

// Checks that a library routine may read or write these bytes, and marks what it writes as
// initialised.
Status library_reads(const char* routine, const void* p, std::int64_t bytes);
Status library_writes(const char* routine, void* p, std::int64_t bytes);

// Counts the traffic and the launches of a sort of n pairs by formula.
void count_sort(std::int64_t n, int bits, std::int64_t key_bytes, std::int64_t value_bytes);

// Least significant digit first, 8 bits in each pass.
template <typename Key, typename Value>
void radix_sort(const Key* keys_in, Key* keys_out, const Value* values_in, Value* values_out,
                std::int64_t n, int bits) {
  static_assert(std::is_integral_v<Key>);
  using Bits = std::make_unsigned_t<Key>;
  constexpr int kDigitBits = 8;
  constexpr int kKeyBits = 8 * static_cast<int>(sizeof(Key));
  struct Pair {
    Key key;
    Value value;
  };
  // As in CUB, signed keys order by their sign only when it is among the compared bits.
  constexpr Bits kSign = std::is_signed_v<Key> ? Bits{1} << (kKeyBits - 1) : Bits{0};
  std::vector<Pair> from(static_cast<std::size_t>(n));
  std::vector<Pair> to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = {keys_in[i], values_in[i]};
  }
  for (int low = 0; low < bits; low += kDigitBits) {
    const int width = std::min(kDigitBits, bits - low);
    const auto digit = [&](const Pair& pair) {
      const auto ordered = static_cast<std::uint64_t>(static_cast<Bits>(pair.key) ^ kSign);
      return static_cast<std::size_t>(ordered >> low & ((1U << width) - 1U));
    };
    std::array<std::size_t, (1U << kDigitBits) + 1> begin{};
    for (const Pair& pair : from) {
      ++begin[digit(pair) + 1];
    }
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    for (const Pair& pair : from) {
      to[begin[digit(pair)]++] = pair;
    }
    from.swap(to);
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    keys_out[i] = from[i].key;
    values_out[i] = from[i].value;
  }
}

}  // namespace emulated

// The temporary memory of a onesweep sort: a second pair of arrays.
template <typename Key, typename Value>
Status sort_pairs_bytes(std::int64_t n, int /*bits*/, std::int64_t* temp_bytes) {
  constexpr std::int64_t kHistograms = 64 << 10;
  *temp_bytes = n * static_cast<std::int64_t>(sizeof(Key) + sizeof(Value)) + kHistograms;
  return {};
}

template <typename Key, typename Value>
Status sort_pairs(void* temp, std::int64_t temp_bytes, const Key* keys_in, Key* keys_out,
                  const Value* values_in, Value* values_out, std::int64_t n, int bits,
                  Stream /*stream*/) {
  constexpr const char* kName = "sort_pairs";
  const auto key_bytes = n * static_cast<std::int64_t>(sizeof(Key));
  const auto value_bytes = n * static_cast<std::int64_t>(sizeof(Value));
  if (n == 0) {
    return {};
  }
  std::int64_t needed_bytes = 0;
  ROWLANE_RETURN_IF_ERROR((sort_pairs_bytes<Key, Value>(n, bits, &needed_bytes)));
  if (bits < 0 || bits > static_cast<int>(8 * sizeof(Key)) || temp_bytes < needed_bytes) {
    return Status::error("sort_pairs: bits out of range or too little temporary memory");
  }
  ROWLANE_RETURN_IF_ERROR(emulated::library_writes(kName, temp, temp_bytes));
  ROWLANE_RETURN_IF_ERROR(emulated::library_reads(kName, keys_in, key_bytes));
  ROWLANE_RETURN_IF_ERROR(emulated::library_reads(kName, values_in, value_bytes));
  ROWLANE_RETURN_IF_ERROR(emulated::library_writes(kName, keys_out, key_bytes));
  ROWLANE_RETURN_IF_ERROR(emulated::library_writes(kName, values_out, value_bytes));

  emulated::radix_sort(keys_in, keys_out, values_in, values_out, n, bits);
  emulated::count_sort(n, bits, sizeof(Key), sizeof(Value));
  return {};
}

}  // namespace rowlane::simt
