#include "cuda/simt/emulated/race_detector.h"

#include <algorithm>

#include "cuda/simt/emulated/thread_list.h"

namespace rowlane::simt::emulated {
namespace {

constexpr std::uint32_t kLastEpoch = 0x80000000U;
constexpr std::size_t kLastStep = 0xffff;

}  // namespace

bool RaceDetector::begin_launch() {
  const bool restart = epoch_ > kLastEpoch;
  if (restart) {
    epoch_ = 0;
  }
  launch_begin_ = epoch_ + 1;
  return restart;
}

void RaceDetector::begin_block() {
  barrier();
  block_begin_ = epoch_;
}

void RaceDetector::barrier() {
  ++epoch_;
  for (auto& syncs : warp_syncs_) {
    syncs.clear();
  }
}

void RaceDetector::sync_warp(int warp, std::uint32_t mask) {
  auto& syncs = warp_syncs_[static_cast<std::size_t>(warp)];
  if (syncs.size() < kLastStep) {
    syncs.push_back(mask);
  } else {
    syncs.back() |= mask;  // so long a stretch without a barrier is checked loosely
  }
}

bool RaceDetector::ordered_in_warp(const AccessSet& earlier, int thread) const {
  if (earlier.warp != thread / 32) {
    return false;
  }
  const std::uint32_t self = 1U << (thread % 32);
  if (earlier.lanes == self) {
    return true;
  }
  const std::uint32_t both = earlier.lanes | self;
  const auto& syncs = warp_syncs_[earlier.warp];
  return std::any_of(syncs.begin() + earlier.step, syncs.end(),
                     [both](std::uint32_t mask) { return (mask & both) == both; });
}

bool RaceDetector::conflicts(const AccessSet& earlier, Space space, int thread) const {
  if (earlier.epoch < first_epoch(space)) {
    return false;
  }
  if (earlier.first_epoch < block_begin_) {
    return true;  // by another block of this launch
  }
  return earlier.epoch == epoch_ && !ordered_in_warp(earlier, thread);
}

void RaceDetector::add(AccessSet& set, Space space, int thread, bool atomic) const {
  const auto warp = static_cast<std::uint8_t>(thread / 32);
  const std::uint32_t lane = 1U << (thread % 32);
  if (set.epoch == epoch_ && set.atomic == atomic) {
    set.lanes |= lane;
    if (set.warp != warp) {
      set.warp = AccessSet::kSeveralWarps;
    }
  } else {
    if (set.epoch < first_epoch(space) || set.atomic != atomic) {
      set.first_epoch = epoch_;
    }
    set.epoch = epoch_;
    set.lanes = lane;
    set.warp = warp;
    set.atomic = atomic;
  }
  set.step = static_cast<std::uint16_t>(warp_syncs_[warp].size());
}

std::string RaceDetector::describe(const AccessSet& earlier, const char* what) const {
  const std::string access = earlier.atomic ? "an atomic" : what;
  if (earlier.first_epoch < block_begin_) {
    return access + " of another block";
  }
  if (earlier.warp == AccessSet::kSeveralWarps) {
    return access + " of several warps with no barrier between";
  }
  std::vector<int> threads;
  for (int lane = 0; lane < 32; ++lane) {
    if ((earlier.lanes >> lane & 1U) != 0) {
      threads.push_back(earlier.warp * 32 + lane);
    }
  }
  return access + " of " + thread_list(threads) + " with no barrier between";
}

std::string RaceDetector::check(RaceCell* cells, int count, Space space, AccessType type,
                                int thread) {
  const MemoryOp op = type.op;
  for (RaceCell* cell = cells; cell != cells + count; ++cell) {
    const bool both_atomic = is_atomic(op) && cell->writes.atomic;
    if (!both_atomic && conflicts(cell->writes, space, thread)) {
      return describe(cell->writes, "a write");
    }
    if (type.read_only) {
      if (cell->writes.epoch >= launch_begin_) {
        return "a write of the same launch";
      }
      cell->read_only_epoch = epoch_;
    } else if (op != MemoryOp::kLoad && cell->read_only_epoch >= launch_begin_) {
      return "a read-only load of the same launch";
    }
    if (op == MemoryOp::kLoad) {
      add(cell->reads, space, thread, false);
      continue;
    }
    if (conflicts(cell->reads, space, thread)) {
      return describe(cell->reads, "a read");
    }
    if (op == MemoryOp::kStore) {
      cell->writes.epoch = 0;  // the write replaces earlier ones, which it is ordered after
    }
    add(cell->writes, space, thread, is_atomic(op));
  }
  return {};
}

}  // namespace rowlane::simt::emulated
