// The counters of the process: the L2 that all counted launches share, and what each launch did.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "cuda/simt/emulated/block_trace.h"
#include "cuda/simt/emulated/counts.h"
#include "cuda/simt/emulated/emulator.h"

namespace rowlane::simt::emulated {

class Counting final : public BlockSink {
 public:
  static Counting& instance();

  // Forgets all launches. A cold start also empties the L2.
  void restart(CacheStart start);
  // Writes back what is dirty and returns what was counted since the restart.
  Counts finish();

  // A launch: begin, then the accesses of its blocks, then end. Blocks are numbered in the order of
  // the schedule; their accesses reach the L2 in that order whatever host thread delivers them
  // when.
  void begin_launch();
  void submit(std::int64_t sequence, std::vector<LineAccess>& accesses,
              bool block_is_complete) override;
  void end_launch(LaunchCounts counts);
  void add_sites(const std::string& kernel,
                 const std::unordered_map<std::uintptr_t, SiteCounts>& sites);

  // A library call that reads and writes these bytes through the L2; nullptr for neither.
  void copy(const char* name, void* to, const void* from, std::int64_t bytes);
  // One whose DRAM traffic is known by formula only.
  void library_call(const LaunchCounts& counts);

 private:
  Counting();

  struct PendingBlock {
    std::vector<LineAccess> accesses;
    bool complete = false;
  };
  void push(const std::vector<LineAccess>& accesses);
  void push(LineAccess access);
  void push_range(const void* p, std::int64_t bytes, MemoryOp op);
  void advance();
  void advance_interleaved(bool is_last);

  std::mutex mutex_;
  L2Model l2_;
  // What the L2 was made for.
  const DeviceModel* device_ = nullptr;
  double l2_scale_ = 1;
  int fetch_bytes_ = 0;

  std::int64_t next_sequence_ = 0;
  std::map<std::int64_t, PendingBlock> pending_;
  int interleaved_blocks_ = 1;

  std::vector<LaunchCounts> launches_;
  std::vector<int> traffic_numbers_;  // in l2_, of launches_
  // By kernel, place, and what is done there.
  std::map<std::tuple<std::string, std::string, MemoryOp, bool>, SiteCounts> sites_;
};

}  // namespace rowlane::simt::emulated
