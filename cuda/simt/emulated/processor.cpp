#include "cuda/simt/emulated/processor.h"

#include <algorithm>
#include <utility>

namespace rowlane::simt::emulated {

constinit thread_local Processor* current_processor = nullptr;

namespace {

constexpr std::uint64_t kSeedMultiplier = 0x9e3779b97f4a7c15ULL;

}  // namespace

Processor::Processor() = default;

void Processor::begin_launch(const Grid& grid) {
  grid_ = &grid;
  const Options& options = grid.options;
  faulted_ = false;
  fault_.clear();
  known_ranges_.fill({});
  host_ = host_fiber();
  threads_.resize(static_cast<std::size_t>(grid.block_threads));
  // As simt/cuda/runtime.cuh, which asks for more than the usual only when dynamic memory alone
  // needs it.
  constexpr std::int64_t kSharedWithoutOptIn = 48 << 10;
  const std::int64_t shared_limit = grid.dynamic_shared_bytes > kSharedWithoutOptIn
                                        ? options.device->info.shared_bytes_per_block
                                        : kSharedWithoutOptIn;
  shared_.begin_launch(grid.dynamic_shared_bytes, shared_limit, options.poison);
  if (races_.begin_launch()) {
    shared_.clear_race_cells();
    DeviceMemory::instance().clear_race_cells();
  }
  observes_all_ = options.check_shared_races || options.check_global_races ||
                  options.check_initialised || options.preempt_every > 0 || grid.sink != nullptr;
  constexpr std::int64_t kManyAccesses = 1 << 20;
  observed_every_ = observes_all_ ? 1 : std::min(options.max_block_accesses, kManyAccesses);
  trace_.begin_launch(options.l1);

  start_order_.resize(threads_.size());
  for (std::size_t i = 0; i < start_order_.size(); ++i) {
    const bool reversed = options.order == Order::kReversed;
    start_order_[i] = static_cast<std::uint16_t>(reversed ? start_order_.size() - 1 - i : i);
  }
}

bool Processor::run_block(std::int64_t sequence, std::int64_t x, std::int64_t y) {
  sequence_ = sequence;
  block_accesses_ = 0;
  unobserved_accesses_ = observed_every_ - 1;
  block_x_ = x;
  block_y_ = y;
  num_started_ = 0;
  num_exited_ = 0;
  num_at_barrier_ = 0;
  ready_begin_ = ready_end_ = 0;
  shared_.begin_block();
  races_.begin_block();
  // Seeded by the block, so that a block runs the same way on whichever host thread it lands.
  random_state_ =
      (grid_->options.seed + static_cast<std::uint64_t>(sequence)) * kSeedMultiplier | 1U;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i].id = static_cast<int>(i);
    threads_[i].state = ThreadState::kNotStarted;
  }
  const int num_threads = grid_->block_threads;
  num_warps_ = (num_threads + kLanes - 1) / kLanes;
  for (int warp = 0; warp < num_warps_; ++warp) {
    const int lanes = std::min(kLanes, num_threads - warp * kLanes);
    warps_[static_cast<std::size_t>(warp)] = {.live = ~0U >> (kLanes - lanes)};
  }
  if (grid_->sink != nullptr) {
    trace_.begin_block(num_threads);
  }
  if (grid_->options.order == Order::kShuffled) {
    for (std::size_t i = start_order_.size(); i > 1; --i) {
      std::swap(start_order_[i - 1], start_order_[random() % i]);
    }
  }
  current_processor = this;
  continue_with(host_, pick_next());
  current_processor = nullptr;
  if (faulted_) {
    fibers_.abandon_all();
  } else if (grid_->sink != nullptr) {
    trace_.end_block();
    grid_->sink->submit(sequence_, trace_.accesses(), true);
  }
  return !faulted_;
}

// xorshift64: the schedule needs variety, not quality.
std::uint64_t Processor::random() {
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_;
}

void Processor::fiber_main() {
  switch_fiber_arrived();
  Processor& self = *current_processor;
  for (;;) {
    self.run_threads_until_one_waits(self.to_start_);
  }
}

// Runs `first` and then every thread that is next and has not started; then hands over and becomes
// idle until another thread has to be started.
void Processor::run_threads_until_one_waits(Thread* first) {
  Fiber* self = running_fiber_;
  Thread* next = first;
  while (next != nullptr && next->state == ThreadState::kNotStarted) {
    current_ = next;
    next->state = ThreadState::kRunning;
    grid_->run_thread(grid_->arguments);
    exit_thread(*next);
    next = pick_next();
  }
  fibers_.give_back(self);
  if (next == nullptr) {
    running_fiber_ = &host_;
    switch_fiber(*self, host_);
  } else {
    continue_with(*self, next);
  }
}

// nullptr when all threads have exited.
Thread* Processor::pick_next() {
  const std::size_t num_ready = ready_end_ - ready_begin_;
  const std::size_t num_new = threads_.size() - num_started_;
  const auto start_one = [this] { return &threads_[start_order_[num_started_++]]; };
  const auto take_ready = [this](std::size_t position) {
    std::swap(ready_[ready_begin_ % ready_.size()], ready_[position % ready_.size()]);
    return &threads_[ready_[ready_begin_++ % ready_.size()]];
  };
  if (grid_->options.order == Order::kShuffled && num_ready + num_new > 0) {
    const std::size_t choice = random() % (num_ready + num_new);
    return choice < num_ready ? take_ready(ready_begin_ + choice) : start_one();
  }
  // With preemption new threads come first, so that all of them take turns.
  if (num_new > 0 && (num_ready == 0 || grid_->options.preempt_every > 0)) {
    return start_one();
  }
  if (num_ready > 0) {
    return take_ready(ready_begin_);
  }
  if (num_exited_ == grid_->block_threads) {
    return nullptr;
  }
  for (int warp = 0; warp < num_warps_; ++warp) {
    make_room_in_trace(warps_[static_cast<std::size_t>(warp)]);
  }
  if (ready_end_ == ready_begin_) {
    note_block_fault(describe_waiting_threads());
    abandon_block();
  }
  return take_ready(ready_begin_);
}

// `from` is where the caller waits (or idles); returns when it is continued.
void Processor::continue_with(Fiber& from, Thread* next) {
  Fiber* to = next->fiber;
  if (next->state == ThreadState::kNotStarted) {
    to_start_ = next;
    to = fibers_.take();
  } else {
    current_ = next;
    next->state = ThreadState::kRunning;
  }
  running_fiber_ = to;
  if (to != &from) {
    switch_fiber(from, *to);
  }
}

void Processor::wait_as(ThreadState state, const Site& site) {
  current_->state = state;
  current_->site = site;
  current_->fiber = running_fiber_;
  Warp& warp = warp_of(*current_);
  warp.blocked |= 1U << (current_->id % kLanes);
  if ((warp.live & ~warp.blocked) == 0) {
    make_room_in_trace(warp);
  }
  continue_with(*running_fiber_, pick_next());
}

void Processor::wake(Thread& thread) {
  warp_of(thread).blocked &= ~(1U << (thread.id % kLanes));
  make_ready(thread);
}

void Processor::make_ready(Thread& thread) {
  thread.state = ThreadState::kReady;
  ready_[ready_end_++ % ready_.size()] = static_cast<std::uint16_t>(thread.id);
}

void Processor::maybe_preempt() {
  const int every = grid_->options.preempt_every;
  if (every > 1 && random() % static_cast<std::uint64_t>(every) != 0) {
    return;
  }
  make_ready(*current_);
  current_->fiber = running_fiber_;
  continue_with(*running_fiber_, pick_next());
}

void Processor::exit_thread(Thread& thread) {
  thread.state = ThreadState::kExited;
  ++num_exited_;
  Warp& warp = warp_of(thread);
  warp.live &= ~(1U << (thread.id % kLanes));
  // A collective waits for the lanes that are alive, so it may be complete now.
  for (int lane = 0; warp.waiting != 0 && lane < kLanes; ++lane) {
    if ((warp.waiting >> lane & 1U) != 0) {
      try_complete(thread.id / kLanes, lane);
    }
  }
  if (warp.live == 0 && grid_->sink != nullptr) {
    flush_trace(thread.id / kLanes, 0);
  } else if ((warp.live & ~warp.blocked) == 0) {
    make_room_in_trace(warp);
  }
  if (num_at_barrier_ > 0 && num_at_barrier_ + num_exited_ == grid_->block_threads) {
    open_barrier();
  }
}

void Processor::flush_trace(int warp, std::uint32_t unfinished) {
  constexpr std::size_t kManyAccesses = 8192;
  trace_.flush(warp, unfinished);
  if (trace_.accesses().size() >= kManyAccesses) {
    grid_->sink->submit(sequence_, trace_.accesses(), false);
  }
}

// No lane of the warp can add to the trace before those whose records are full go on.
void Processor::make_room_in_trace(Warp& warp) {
  if (warp.trace_full == 0) {
    return;
  }
  const int index = static_cast<int>(&warp - warps_.data());
  flush_trace(index, warp.trace_full);
  for (std::uint32_t rest = warp.trace_full; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    Thread& thread = lane_of(index, lane);
    if (!trace_.full(thread.id)) {
      warp.trace_full &= ~(1U << lane);
      wake(thread);
    }
  }
}

void Processor::barrier(const Site& site) {
  if (num_at_barrier_ > 0 && program_counter(barrier_site_) != program_counter(site)) {
    note_fault("divergent barrier: other threads of the block wait in sync_block at " +
                   to_string(barrier_site_),
               site);
    abandon_block();
  }
  barrier_site_ = site;
  ++num_at_barrier_;
  if (num_at_barrier_ + num_exited_ == grid_->block_threads) {
    open_barrier();
  } else {
    wait_as(ThreadState::kAtBarrier, site);
  }
}

void Processor::open_barrier() {
  num_at_barrier_ = 0;
  races_.barrier();
  if (grid_->sink != nullptr) {
    for (int warp = 0; warp < num_warps_; ++warp) {
      flush_trace(warp, 0);
    }
    trace_.end_rounds();
  }
  const auto release = [this](Thread& thread) {
    if (thread.state == ThreadState::kAtBarrier) {
      wake(thread);
    }
  };
  if (grid_->options.order == Order::kReversed) {
    std::for_each(threads_.rbegin(), threads_.rend(), release);
  } else {
    std::for_each(threads_.begin(), threads_.end(), release);
  }
}

}  // namespace rowlane::simt::emulated
