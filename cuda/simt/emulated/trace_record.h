// One access of one thread, until its warp's instruction is rebuilt from the records of its lanes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/simt/emulated/memory_op.h"
#include "cuda/simt/emulated/site.h"

namespace rowlane::simt::emulated {

class TraceRecord {
 public:
  enum class Kind : std::uint8_t {
    kGlobal,
    kShared,    // the address is an offset
    kExchange,  // not an access: a warp operation of some lanes
  };

  TraceRecord() = default;
  // At most kMaxBytes are counted.
  TraceRecord(Kind kind, std::uint64_t address, int bytes, AccessType type, const Site& site)
      : bits_((address & kAddressMask) |
              static_cast<std::uint64_t>(std::min(bytes, kMaxBytes)) << kBytesShift |
              static_cast<std::uint64_t>(type.op) << kOpShift |
              static_cast<std::uint64_t>(type.hint) << kHintShift |
              static_cast<std::uint64_t>(type.value) << kValueShift |
              static_cast<std::uint64_t>(kind) << kKindShift),
        site_(site) {}
  TraceRecord(const TraceRecord&) = default;
  // Word by word: the record has just been put together in registers, and a copy through the stack
  // in one 16-byte move would wait for the two stores before it.
  TraceRecord& operator=(const TraceRecord& other) {
    bits_ = other.bits_;
    site_ = other.site_;
    return *this;
  }

  [[nodiscard]] std::uint64_t address() const { return bits_ & kAddressMask; }
  [[nodiscard]] int bytes() const { return static_cast<int>(bits_ >> kBytesShift & 0x7fU); }
  [[nodiscard]] AccessType type() const {
    return {static_cast<MemoryOp>(bits_ >> kOpShift & 3U),
            static_cast<Hint>(bits_ >> kHintShift & 3U),
            static_cast<ValueKind>(bits_ >> kValueShift & 1U)};
  }
  [[nodiscard]] Kind kind() const { return static_cast<Kind>(bits_ >> kKindShift & 3U); }
  [[nodiscard]] const Site& site() const { return site_; }

 private:
  static constexpr int kMaxBytes = 64;
  static constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << 48) - 1;
  static constexpr int kBytesShift = 48;
  static constexpr int kOpShift = 55;
  static constexpr int kHintShift = 57;
  static constexpr int kValueShift = 59;
  static constexpr int kKindShift = 60;

  std::uint64_t bits_;
  Site site_;
};
static_assert(sizeof(TraceRecord) == 16);

}  // namespace rowlane::simt::emulated
