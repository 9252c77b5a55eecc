// Turns the warp instructions of a block into counts and into accesses of the L2.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cuda/simt/emulated/counts.h"
#include "cuda/simt/emulated/warp_timeline.h"
#include "cuda/simt/emulated/warp_trace.h"

namespace rowlane::simt::emulated {

struct Allocation;

// The part of an SM's L1 that is modelled: 128 KiB, direct-mapped, emptied for each block. Loads
// allocate, stores pass through, atomics bypass.
class L1Model {
 public:
  void begin_block();
  // Takes the sectors that hit out of the access; true if any are left.
  bool filter(LineAccess& access);

 private:
  struct Entry {
    std::uint64_t block = 0;
    std::uint64_t line = 0;
    std::uint32_t valid = 0;
  };
  std::uint64_t name_of(std::uint64_t line);

  static constexpr std::size_t kLines = 1024;
  std::uint64_t block_ = 0;
  std::vector<Entry> entries_ = std::vector<Entry>(kLines);
  std::vector<const Allocation*> allocations_;  // in the order in which the block touched them
};

// Takes the L2 accesses of a block, in order and in several pieces; empties the vector.
class BlockSink {
 public:
  virtual void submit(std::int64_t sequence, std::vector<LineAccess>& accesses,
                      bool block_is_complete) = 0;

 protected:
  ~BlockSink() = default;
};

class BlockTrace final : public InstructionSink {
 public:
  void begin_launch(bool use_l1);
  void begin_block(int num_threads);
  void end_block();

  // From the running threads.
  [[nodiscard]] bool full(int thread) const { return warps_[warp_of(thread)].full(thread % 32); }
  void add(int thread, const TraceRecord& record) {
    warps_[warp_of(thread)].add(thread % 32, record);
  }
  void flush(int warp, std::uint32_t unfinished) {
    warps_[static_cast<std::size_t>(warp)].flush(unfinished, *this);
  }
  // A warp operation of all lanes, and a barrier; the warp has been flushed.
  void exchange(int warp, ValueKind value) {
    timelines_[static_cast<std::size_t>(warp)].exchange(value);
  }
  void end_rounds();

  // The L2 accesses since the last call, in order.
  [[nodiscard]] std::vector<LineAccess>& accesses() { return accesses_; }
  [[nodiscard]] const LaunchCounts& counts() const { return counts_; }
  [[nodiscard]] const std::unordered_map<std::uintptr_t, SiteCounts>& sites() const {
    return sites_;
  }

  void instruction(int warp, const InstructionLanes& lanes) override;

 private:
  // A lane's access is naturally aligned, so it touches one sector.
  struct TouchedLines {
    std::array<LineAccess, 32> lines;
    int count = 0;
  };

  static std::size_t warp_of(int thread) { return static_cast<std::size_t>(thread) / 32; }
  static TouchedLines touched_lines(const InstructionLanes& lanes);
  static int same_word_accesses(const InstructionLanes& lanes, std::uint64_t sector);
  void global_access(int warp, const InstructionLanes& lanes, SiteCounts& site);
  void shared_access(int warp, const InstructionLanes& lanes, SiteCounts& site);
  SiteCounts& site_counts(const TraceRecord& record);

  bool use_l1_ = true;
  int num_threads_ = 0;
  std::array<WarpTrace, 32> warps_;
  std::array<WarpTimeline, 32> timelines_;
  std::array<std::int64_t, 32> warp_requests_{};
  L1Model l1_;
  LaunchCounts counts_;
  std::vector<LineAccess> accesses_;
  std::unordered_map<std::uintptr_t, SiteCounts> sites_;
  // The last few sites: a map look-up for each instruction would be felt.
  struct KnownSite {
    std::uintptr_t pc = 0;
    SiteCounts* counts = nullptr;
  };
  std::array<KnownSite, 64> known_sites_;
};

}  // namespace rowlane::simt::emulated
