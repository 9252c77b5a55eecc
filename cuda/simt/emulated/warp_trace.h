// Rebuilds the instructions of a warp from what its lanes did one after the other.
//
// Lanes that executed the same call at the same time belong to one instruction. Where all lanes
// went the same way that is plain: their records agree one by one. Where they diverged the trace is
// rebuilt by rule. Two rules are tried, "the smallest source position goes first" and "the n-th
// execution of a call meets the n-th of the others", and the one that needs fewer instructions is
// kept: what hardware does lies close to that, since it reconverges as soon as it can.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "cuda/simt/emulated/trace_record.h"

namespace rowlane::simt::emulated {

// The lanes of one instruction.
struct InstructionLanes {
  std::array<const TraceRecord*, 32> records;
  int count = 0;
};

class InstructionSink {
 public:
  virtual void instruction(int warp, const InstructionLanes& lanes) = 0;

 protected:
  ~InstructionSink() = default;
};

class WarpTrace {
 public:
  static constexpr int kCapacity = 128;  // records of each lane

  void begin_block(int warp, int num_lanes);

  [[nodiscard]] bool full(int lane) const {
    return counts_[static_cast<std::size_t>(lane)] == kCapacity;
  }
  // The lane must not be full.
  void add(int lane, const TraceRecord& record) {
    records_[slot(counts_[static_cast<std::size_t>(lane)]++, lane)] = record;
  }

  // Passes on the instructions of all records that are certain. `unfinished` names the lanes that
  // will add more records before the warp's next common point: what others do meanwhile is not
  // certain once such a lane has none left.
  void flush(std::uint32_t unfinished, InstructionSink& sink);

 private:
  using Positions = std::array<int, 32>;
  enum class Rule : std::uint8_t { kSourcePosition, kOccurrence };
  struct Key {
    std::uint32_t occurrence;
    std::uint32_t line;
    std::uint32_t column;
    std::uintptr_t pc;
    auto operator<=>(const Key&) const = default;
  };

  static std::size_t slot(int position, int lane) {
    return static_cast<std::size_t>(position) * 32 + static_cast<std::size_t>(lane);
  }
  [[nodiscard]] Key key(Rule rule, int position, int lane) const;
  [[nodiscard]] std::uint32_t lanes_with_records(const Positions& positions) const;
  int flush_common_prefix(std::uint32_t active, InstructionSink& sink);
  void number_occurrences(std::uint32_t active);
  // Returns the number of instructions; `sink` may be nullptr.
  int merge(Rule rule, std::uint32_t unfinished, Positions& positions, InstructionSink* sink);
  void discard(const Positions& positions);

  int warp_ = 0;
  int num_lanes_ = 0;
  std::array<int, 32> counts_{};
  std::unique_ptr<TraceRecord[]> records_;  // [position][lane]
  std::unique_ptr<std::uint16_t[]> occurrences_;
};

}  // namespace rowlane::simt::emulated
