#include "csrc/cpu/sort_indices.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>

#include "csrc/cpu/block_cache.h"
#include "csrc/cpu/indices.h"
#include "csrc/cpu/threads.h"

namespace rowlane::cpu {
namespace {

// 2^11 counters and the ends of as many lists that are written to stay in the caches of a core.
constexpr int kMaxDigitBits = 11;
// Indices that are worth a thread of their own.
constexpr std::int64_t kThreadIndices = 8192;

int bits_below(std::int64_t bound) {
  return static_cast<int>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(bound - 1, 1))));
}

// A stable radix sort, least significant digit first. Each thread counts and moves the entries of
// its own part, so that the result does not depend on their number.
template <typename IndexT, typename Entry>
class RadixSort {
 public:
  RadixSort(const IndexT* indices, std::int64_t num_indices, std::int64_t num_rows,
            std::int64_t padding_row)
      : indices_(indices),
        num_indices_(num_indices),
        num_rows_(static_cast<std::uint64_t>(num_rows)),
        padding_row_(padding_row),
        position_bits_(bits_below(num_indices)),
        row_bits_(bits_below(num_rows)) {}

  // By comparison, which for few is done sooner than counters are cleared and summed up. Null when
  // an index is out of range.
  const Entry* sort_few(Entry* buffer) {
    for (std::int64_t i = 0; i < num_indices_; ++i) {
      if (!is_in_range(i)) {
        return nullptr;
      }
      if (indices_[i] != padding_row_) {
        buffer[size_++] = entry(i);
      }
    }
    std::sort(buffer, buffer + size_);
    return buffer;
  }

  // Two buffers of num_indices entries; the result is in one of them. Null when an index is out of
  // range.
  const Entry* sort(Entry* buffer, Entry* other) {
    const int num_passes = (row_bits_ + kMaxDigitBits - 1) / kMaxDigitBits;
    digit_bits_ = (row_bits_ + num_passes - 1) / num_passes;
    num_shares_ = at::in_parallel_region() ? 1
                                           : std::clamp<std::int64_t>(num_indices_ / kThreadIndices,
                                                                      1, at::get_num_threads());
    offsets_ = std::make_unique_for_overwrite<Entry[]>(
        static_cast<std::size_t>(num_shares_ << digit_bits_));
    if (!first_pass(buffer)) {
      return nullptr;
    }
    for (int pass = 1; pass < num_passes; ++pass) {
      next_pass(buffer, other, position_bits_ + pass * digit_bits_);
      std::swap(buffer, other);
    }
    return buffer;
  }

  // Without the padding.
  [[nodiscard]] std::int64_t size() const { return size_; }

 private:
  [[nodiscard]] Entry entry(std::int64_t i) const {
    return static_cast<Entry>(static_cast<std::uint64_t>(indices_[i]) << position_bits_ |
                              static_cast<std::uint64_t>(i));
  }

  [[nodiscard]] bool is_in_range(std::int64_t i) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(indices_[i])) < num_rows_;
  }

  // Counts and moves the indices themselves.
  bool first_pass(Entry* to) {
    std::atomic<bool> all_in_range{true};
    const std::uint64_t mask = (std::uint64_t{1} << digit_bits_) - 1;
    for_each_share(num_shares_, [&](std::int64_t share) {
      Entry* const counts = clear_counts(share);
      bool in_range = true;
      for (std::int64_t i = begin_of(share, num_indices_); i < begin_of(share + 1, num_indices_);
           ++i) {
        in_range &= is_in_range(i);
        if (indices_[i] != padding_row_) {
          ++counts[static_cast<std::uint64_t>(indices_[i]) & mask];
        }
      }
      if (!in_range) {
        all_in_range = false;
      }
    });
    if (!all_in_range) {
      return false;
    }
    size_ = sum_up_counts();
    for_each_share(num_shares_, [&](std::int64_t share) {
      Entry* const offsets = offsets_of(share);
      for (std::int64_t i = begin_of(share, num_indices_); i < begin_of(share + 1, num_indices_);
           ++i) {
        if (indices_[i] != padding_row_) {
          to[offsets[static_cast<std::uint64_t>(indices_[i]) & mask]++] = entry(i);
        }
      }
    });
    return true;
  }

  void next_pass(const Entry* from, Entry* to, int shift) {
    const Entry mask = (Entry{1} << digit_bits_) - 1;
    for_each_share(num_shares_, [&](std::int64_t share) {
      Entry* const counts = clear_counts(share);
      for (std::int64_t i = begin_of(share, size_); i < begin_of(share + 1, size_); ++i) {
        ++counts[(from[i] >> shift) & mask];
      }
    });
    sum_up_counts();
    for_each_share(num_shares_, [&](std::int64_t share) {
      Entry* const offsets = offsets_of(share);
      for (std::int64_t i = begin_of(share, size_); i < begin_of(share + 1, size_); ++i) {
        to[offsets[(from[i] >> shift) & mask]++] = from[i];
      }
    });
  }

  [[nodiscard]] std::int64_t begin_of(std::int64_t share, std::int64_t size) const {
    return size / num_shares_ * share + std::min(share, size % num_shares_);
  }

  [[nodiscard]] Entry* offsets_of(std::int64_t share) const {
    return offsets_.get() + (share << digit_bits_);
  }

  Entry* clear_counts(std::int64_t share) {
    Entry* const counts = offsets_of(share);
    std::fill_n(counts, std::int64_t{1} << digit_bits_, Entry{0});
    return counts;
  }

  // Each count becomes where its share's entries with that digit begin. Returns their total.
  std::int64_t sum_up_counts() {
    Entry total = 0;
    for (std::int64_t digit = 0; digit < std::int64_t{1} << digit_bits_; ++digit) {
      for (std::int64_t share = 0; share < num_shares_; ++share) {
        Entry& offset = offsets_of(share)[digit];
        const Entry count = offset;
        offset = total;
        total += count;
      }
    }
    return static_cast<std::int64_t>(total);
  }

  const IndexT* const indices_;
  const std::int64_t num_indices_;
  const std::uint64_t num_rows_;
  const std::int64_t padding_row_;
  const int position_bits_;
  const int row_bits_;
  int digit_bits_ = 0;
  std::int64_t num_shares_ = 1;
  std::int64_t size_ = 0;
  std::unique_ptr<Entry[]> offsets_;  // [num_shares_, 2^digit_bits_]
};

}  // namespace

SortedIndices::SortedIndices(std::string_view op, const at::Tensor& indices, std::int64_t num_rows,
                             std::int64_t padding_row) {
  position_bits_ = bits_below(indices.numel());
  const int entry_bits = position_bits_ + bits_below(num_rows);
  TORCH_CHECK(entry_bits <= 64, op, ": ", num_rows, " rows times ", indices.numel(),
              " indices is more than 2^64");
  is_wide_ = entry_bits > 32;
  dispatch_index(indices, [&]<typename IndexT>() {
    if (is_wide_) {
      sort<IndexT, std::uint64_t>(op, indices, num_rows, padding_row);
    } else {
      sort<IndexT, std::uint32_t>(op, indices, num_rows, padding_row);
    }
  });
}

template <typename IndexT, typename Entry>
void SortedIndices::sort(std::string_view op, const at::Tensor& indices, std::int64_t num_rows,
                         std::int64_t padding_row) {
  const std::int64_t num_indices = indices.numel();
  RadixSort<IndexT, Entry> radix_sort(indices.const_data_ptr<IndexT>(), num_indices, num_rows,
                                      padding_row);
  const Entry* sorted = nullptr;
  if (num_indices <= kFew) {
    sorted = radix_sort.sort_few(reinterpret_cast<Entry*>(few_));
  } else {
    memory_ = block_cache().allocate(2 * static_cast<std::size_t>(num_indices) * sizeof(Entry));
    auto* const buffer = static_cast<Entry*>(memory_.get());
    sorted = radix_sort.sort(buffer, buffer + num_indices);
  }
  if (sorted == nullptr) {
    check_indices<IndexT>(op, indices, num_rows);
  }
  entries_ = sorted;
  size_ = radix_sort.size();
}

}  // namespace rowlane::cpu
