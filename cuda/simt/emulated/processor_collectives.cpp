// Operations of the lanes of one warp.
#include "cuda/simt/emulated/processor.h"

namespace rowlane::simt::emulated {

std::uint64_t Processor::collective(Collective kind, std::uint32_t mask, std::uint64_t value,
                                    int source_lane, ValueKind exchanged, const Site& site) {
  Thread& self = *current_;
  const int lane = self.id % kLanes;
  if ((mask >> lane & 1U) == 0) {
    note_fault("wrong mask: the caller's lane is not in the mask of its warp operation", site);
    abandon_block();
  }
  const int lanes = std::min(kLanes, grid_->block_threads - self.id / kLanes * kLanes);
  self.collective = kind;
  self.mask = mask & (~0U >> (kLanes - lanes));  // the last warp of a block may be partial
  self.value = value;
  self.source_lane = source_lane;
  self.exchanged = exchanged;
  self.site = site;
  warp_of(self).waiting |= 1U << lane;
  if (!try_complete(self.id / kLanes, lane)) {
    wait_as(ThreadState::kInCollective, site);
  }
  if (grid_->sink != nullptr && !self.met_whole_warp && kind != Collective::kSyncWarp) {
    record(TraceRecord(TraceRecord::Kind::kExchange, 0, 0, {.value = exchanged}, site));
  }
  return self.result;
}

// Both name each other and will therefore never go on.
bool Processor::is_definite_mismatch(const Thread& a, const Thread& b) const {
  const bool same = a.mask == b.mask && a.collective == b.collective &&
                    program_counter(a.site) == program_counter(b.site);
  return !same && (a.mask >> (b.id % kLanes) & 1U) != 0 && (b.mask >> (a.id % kLanes) & 1U) != 0;
}

// Completes the collective that `lane` waits in, if all lanes of its mask that have not exited are
// there.
bool Processor::try_complete(int warp_index, int lane) {
  const Warp& warp = warps_[static_cast<std::size_t>(warp_index)];
  const Thread& self = lane_of(warp_index, lane);
  const std::uint32_t needed = self.mask & warp.live;
  bool all_here = (warp.waiting & needed) == needed;
  for (std::uint32_t rest = warp.waiting & needed; rest != 0; rest &= rest - 1) {
    const Thread& other = lane_of(warp_index, std::countr_zero(rest));
    const bool same = other.mask == self.mask && other.collective == self.collective &&
                      program_counter(other.site) == program_counter(self.site);
    if (!same && is_definite_mismatch(self, other)) {
      note_mismatch(self, other);
      abandon_block();
    }
    all_here = all_here && same;
  }
  if (all_here) {
    complete(warp_index, needed);
  }
  return all_here;
}

void Processor::complete(int warp_index, std::uint32_t lanes) {
  Warp& warp = warps_[static_cast<std::size_t>(warp_index)];
  std::uint32_t votes = 0;
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    votes |= lane_of(warp_index, lane).value != 0 ? 1U << lane : 0U;
  }
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    Thread& thread = lane_of(warp_index, std::countr_zero(rest));
    switch (thread.collective) {
      case Collective::kShuffle:
        if ((lanes >> thread.source_lane & 1U) == 0) {
          note_absent_lane(thread);
          abandon_block();
        }
        thread.result = lane_of(warp_index, thread.source_lane).value;
        break;
      case Collective::kBallot:
        thread.result = votes;
        break;
      case Collective::kMatch:
        thread.result = 0;
        for (std::uint32_t others = lanes; others != 0; others &= others - 1) {
          const int other = std::countr_zero(others);
          const bool equal = lane_of(warp_index, other).value == thread.value;
          thread.result |= equal ? 1U << other : 0U;
        }
        break;
      case Collective::kSyncWarp:
        break;
    }
  }
  const Thread& first = lane_of(warp_index, std::countr_zero(lanes));
  if (first.collective == Collective::kSyncWarp) {
    races_.sync_warp(warp_index, lanes);
  }
  if (grid_->sink != nullptr && lanes == warp.live) {
    flush_trace(warp_index, 0);
    if (first.collective != Collective::kSyncWarp) {
      trace_.exchange(warp_index, first.exchanged);
    }
  }
  warp.waiting &= ~lanes;
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    Thread& thread = lane_of(warp_index, std::countr_zero(rest));
    thread.met_whole_warp = lanes == warp.live;
    if (thread.state == ThreadState::kInCollective) {
      wake(thread);
    }
  }
}

}  // namespace rowlane::simt::emulated
