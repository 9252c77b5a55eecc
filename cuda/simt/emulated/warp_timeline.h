// Estimates how often a warp waits for memory.
//
// The values of a kernel are plain C++ numbers, so which load needs the result of which other one
// cannot be seen. What can be seen is the order of a warp's instructions, and a warp issues them in
// order: loads that follow one another are in flight together until something needs a result. A
// round is such a group, and costs one latency. It ends
//   - at a load from another place in the source than a load of integers in the round, whose
//     address may have been computed from them (positions, then rows);
//   - at a load of integers from the same place whose address is not the next of an arithmetic
//     progression (a binary search, a linked list; an unrolled loop reads at a fixed stride);
//   - at a store, an atomic or a write to shared memory, which needs data that was loaded;
//   - at a shuffle or vote, if values of that kind (integers, or data) were loaded in the round;
//   - at sync_block.
// Repeated loads of data from one place stay in one round, as in an unrolled loop over rows; so do
// loads of several arrays of data. Loads that the L1 answers count for nothing. The number of
// rounds is therefore too high where two arrays of integers are read side by side, and too low
// where a loop that the compiler does not unroll adds up what it loads; both by a small factor.
#pragma once

#include <cstdint>

#include "cuda/simt/emulated/memory_op.h"

namespace rowlane::simt::emulated {

class WarpTimeline {
 public:
  // `place` identifies the load in the source, `address` is that of its first lane.
  void load(std::uintptr_t place, std::uint64_t address, ValueKind value) {
    if (!pending_ || (index_pending_ && index_place_ != place)) {
      begin_round();
    } else if (index_pending_) {
      const std::uint64_t stride = address - index_address_;
      if (stride_known_ && stride != index_stride_) {
        begin_round();
      }
      index_stride_ = stride;
      stride_known_ = true;
    }
    if (value == ValueKind::kIndex) {
      index_pending_ = true;
      index_place_ = place;
      index_address_ = address;
    } else {
      data_pending_ = true;
    }
  }
  void exchange(ValueKind value) {
    if (value == ValueKind::kIndex ? index_pending_ : data_pending_) {
      end_round();
    }
  }
  void end_round() { pending_ = index_pending_ = data_pending_ = false; }

  [[nodiscard]] std::int64_t rounds() const { return rounds_; }

 private:
  void begin_round() {
    end_round();
    pending_ = true;
    stride_known_ = false;
    ++rounds_;
  }

  bool pending_ = false;
  bool index_pending_ = false;  // the last load of integers of the round, if there was one:
  std::uintptr_t index_place_ = 0;
  std::uint64_t index_address_ = 0;
  std::uint64_t index_stride_ = 0;  // from the one before it
  bool stride_known_ = false;
  bool data_pending_ = false;
  std::int64_t rounds_ = 0;
};

}  // namespace rowlane::simt::emulated
