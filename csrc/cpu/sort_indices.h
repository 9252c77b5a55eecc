// Sorts the positions of an index list by the row that they name.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstdint>
#include <string_view>

#include "csrc/cpu/loops/loops.h"

namespace rowlane::cpu {

// Positions of equal rows stay in their order.
class SortedIndices {
 public:
  // indices is contiguous; those equal to padding_row (-1 for none) are left out. Throws
  // c10::IndexError, which begins with `op`, where one is out of range.
  SortedIndices(std::string_view op, const at::Tensor& indices, std::int64_t num_rows,
                std::int64_t padding_row);

  // Entries may lie within.
  SortedIndices(const SortedIndices&) = delete;
  SortedIndices& operator=(const SortedIndices&) = delete;

  [[nodiscard]] std::int64_t size() const { return size_; }

  // Calls f(SortedEntries<uint32_t>) or f(SortedEntries<uint64_t>): an entry takes 32 bits where a
  // row and a position fit.
  template <typename F>
  void visit(F&& f) const {
    if (is_wide_) {
      f(SortedEntries<std::uint64_t>{static_cast<const std::uint64_t*>(entries_), size_,
                                     position_bits_});
    } else {
      f(SortedEntries<std::uint32_t>{static_cast<const std::uint32_t*>(entries_), size_,
                                     position_bits_});
    }
  }

 private:
  template <typename IndexT, typename Entry>
  void sort(std::string_view op, const at::Tensor& indices, std::int64_t num_rows,
            std::int64_t padding_row);

  // At most this many are sorted within the object: an allocation takes longer than their sort.
  static constexpr std::int64_t kFew = 256;

  std::uint64_t few_[kFew];  // NOLINT(modernize-avoid-c-arrays): not initialised
  c10::DataPtr memory_;
  const void* entries_ = nullptr;
  std::int64_t size_ = 0;
  int position_bits_ = 0;
  bool is_wide_ = false;
};

}  // namespace rowlane::cpu
