// The schedules that a correct kernel gives the same result under.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "cuda/simt/emulated/emulator.h"

namespace rowlane::testing {

struct Schedule {
  const char* name;
  simt::emulated::Order order;
  std::uint64_t seed;
  int preempt_every;
  int host_threads;
};

inline constexpr std::array kSchedules{
    Schedule{"InOrder", simt::emulated::Order::kInOrder, 1, 0, 1},
    Schedule{"Reversed", simt::emulated::Order::kReversed, 1, 0, 1},
    Schedule{"Shuffled1", simt::emulated::Order::kShuffled, 1, 0, 1},
    Schedule{"Shuffled2Preempted", simt::emulated::Order::kShuffled, 2, 3, 1},
    Schedule{"Lockstep", simt::emulated::Order::kInOrder, 1, 1, 1},
    Schedule{"TwoHostThreads", simt::emulated::Order::kInOrder, 1, 0, 2},
};

// Every check on, in `schedule`, until the end of a scope.
class CheckedSchedule {
 public:
  explicit CheckedSchedule(const Schedule& schedule) {
    scoped_->order = schedule.order;
    scoped_->seed = schedule.seed;
    scoped_->preempt_every = schedule.preempt_every;
    scoped_->host_threads = schedule.host_threads;
    scoped_->check_shared_races = true;
    scoped_->check_initialised = true;
  }

 private:
  simt::emulated::ScopedOptions scoped_;
};

}  // namespace rowlane::testing
