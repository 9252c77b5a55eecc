// One access of one thread, until its warp's instruction is rebuilt from the records of its lanes.
#pragma once

#include <bit>
#include <cstdint>

#include "cuda/simt/emulated/memory_op.h"
#include "cuda/simt/emulated/site.h"

namespace rowlane::simt::emulated {

struct TraceRecord {
  enum class Kind : std::uint8_t {
    kGlobal,
    kShared,
    kExchange,  // not an access: a warp operation of some lanes
  };

  std::uint64_t address : 48;  // an offset in shared memory
  std::uint64_t bytes : 7;     // at most 64 are counted
  std::uint64_t op : 2;
  std::uint64_t hint : 2;
  std::uint64_t value : 1;
  std::uint64_t kind : 2;
  Site site;

  [[nodiscard]] AccessType type() const {
    return {static_cast<MemoryOp>(op), static_cast<Hint>(hint), static_cast<ValueKind>(value)};
  }
  [[nodiscard]] Kind record_kind() const { return static_cast<Kind>(kind); }
};
static_assert(sizeof(TraceRecord) == 16);

inline TraceRecord make_record(TraceRecord::Kind kind, std::uint64_t address, int bytes,
                               AccessType type, const Site& site) {
  TraceRecord record;
  record.address = address & 0xffffffffffffULL;
  record.bytes = static_cast<std::uint64_t>(bytes < 64 ? bytes : 64) & 0x7fU;
  record.op = static_cast<std::uint64_t>(type.op) & 3U;
  record.hint = static_cast<std::uint64_t>(type.hint) & 3U;
  record.value = static_cast<std::uint64_t>(type.value) & 1U;
  record.kind = static_cast<std::uint64_t>(kind) & 3U;
  record.site = site;
  return record;
}

}  // namespace rowlane::simt::emulated
