// Memory that a call works in.
#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>
#include <cstdint>

#include "csrc/cpu/block_cache.h"

namespace rowlane::cpu {

// Memory for the time of a call: within the object if it is little, because small calls would feel
// an allocation.
class Scratch {
 public:
  explicit Scratch(std::int64_t bytes) {
    if (bytes > kFewBytes) {
      memory_ = block_cache().allocate(static_cast<std::size_t>(bytes));
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  char* get() { return memory_ ? static_cast<char*>(memory_.get()) : few_; }

 private:
  static constexpr std::int64_t kFewBytes = 4096;

  alignas(64) char few_[kFewBytes];  // NOLINT(modernize-avoid-c-arrays): not initialised
  c10::DataPtr memory_;
};

}  // namespace rowlane::cpu
