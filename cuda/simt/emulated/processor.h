// Runs one block at a time: its threads, its barriers and warp operations, its shared memory, and
// the checks of every access. Each host thread has one processor.
//
// Threads run on fibers, but lazily: a fiber runs one thread after another, and only when a thread
// has to wait does another fiber take over. A kernel in which no thread ever waits runs in a plain
// loop.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/simt/emulated/block_trace.h"
#include "cuda/simt/emulated/device_memory.h"
#include "cuda/simt/emulated/fiber.h"
#include "cuda/simt/emulated/memory_op.h"
#include "cuda/simt/emulated/options.h"
#include "cuda/simt/emulated/race_detector.h"
#include "cuda/simt/emulated/shared_memory.h"
#include "cuda/simt/emulated/site.h"

namespace rowlane::simt::emulated {

inline constexpr int kLanes = 32;
inline constexpr int kMaxBlockThreads = 1024;

enum class ThreadState : std::uint8_t {
  kNotStarted,
  kReady,
  kRunning,
  kInCollective,
  kAtBarrier,
  kTraceFull,  // its records wait for those of the rest of its warp
  kExited,
};

enum class Collective : std::uint8_t { kShuffle, kBallot, kMatch, kSyncWarp };

struct Thread {
  int id = 0;
  ThreadState state = ThreadState::kNotStarted;
  Fiber* fiber = nullptr;  // where it waits
  Site site;               // of the barrier or collective that it waits in

  // The collective that it takes part in.
  Collective collective{};
  std::uint32_t mask = 0;
  int source_lane = 0;
  std::uint64_t value = 0;
  std::uint64_t result = 0;
  ValueKind exchanged{};
  bool met_whole_warp = false;
};

struct Warp {
  std::uint32_t live = 0;        // lanes that have not exited
  std::uint32_t waiting = 0;     // lanes in a collective that is not complete
  std::uint32_t blocked = 0;     // lanes that wait for anything
  std::uint32_t trace_full = 0;  // lanes that wait for room in the trace
};

// One launch, the same for all of its blocks.
struct Grid {
  const char* name = "";
  std::int64_t size_x = 1;
  std::int64_t size_y = 1;
  int block_threads = 1;
  std::int64_t dynamic_shared_bytes = 0;
  void (*run_thread)(const void* arguments) = nullptr;
  const void* arguments = nullptr;
  bool parallel = false;      // blocks run on several host threads at once
  BlockSink* sink = nullptr;  // of the accesses, where they are counted
  Options options;            // as they were at the launch
};

class Processor {
 public:
  Processor();
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  // Called by the launch.
  void begin_launch(const Grid& grid);
  // False when the block stopped at a fault, which fault() then describes.
  bool run_block(std::int64_t sequence, std::int64_t x, std::int64_t y);
  [[nodiscard]] const std::string& fault() const { return fault_; }
  // What was counted since begin_launch.
  [[nodiscard]] const BlockTrace& trace() const { return trace_; }
  [[nodiscard]] std::int64_t shared_bytes() const { return shared_.used_bytes(); }

  // Called by the running thread of a kernel.
  [[nodiscard]] const Grid& grid() const { return *grid_; }
  [[nodiscard]] int thread_id() const { return current_->id; }
  [[nodiscard]] std::int64_t block_x() const { return block_x_; }
  [[nodiscard]] std::int64_t block_y() const { return block_y_; }

  void barrier(const Site& site);
  // Returns what lane `source_lane` passed (shuffle), or a mask of lanes (vote and match).
  // `exchanged` is the kind of values that the lanes pass to one another.
  std::uint64_t collective(Collective kind, std::uint32_t mask, std::uint64_t value,
                           int source_lane, ValueKind exchanged, const Site& site);

  // Checks that the running thread may access `bytes` (a power of two) at `p`; does not return if
  // it may not.
  [[gnu::always_inline]] void access_global(const void* p, int bytes, AccessType type,
                                            const Site& site) {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    Range& range = known_ranges_[range_slot(site)];
    const auto offset = static_cast<std::int64_t>(address - range.begin);
    const bool aligned = (address & static_cast<std::uintptr_t>(bytes - 1)) == 0;
    if (!aligned || offset < 0 || offset + bytes > range.bytes) [[unlikely]] {
      range = checked_range(address, bytes, type.op, site);
    }
    if (--unobserved_accesses_ < 0) [[unlikely]] {
      observe_global(address, bytes, type, site);
    }
  }

  // The same for shared memory; returns the address of the element.
  char* access_shared(const SharedWindow& window, std::int64_t index, int bytes, int alignment,
                      AccessType type, const Site& site);
  SharedWindow static_shared(const void* key, std::int64_t bytes, const Site& site);
  SharedWindow dynamic_shared(std::int64_t offset, const Site& site);

 private:
  struct Range {
    std::uintptr_t begin = 0;
    std::int64_t bytes = 0;
  };
  static constexpr std::size_t kKnownRanges = 64;

  // An access finds its allocation again by its call site, which rarely goes to more than one.
  static std::size_t range_slot(const Site& site) {
    const std::uintptr_t pc = program_counter(site);
    return (pc >> 3 ^ pc >> 9) % kKnownRanges;
  }

  // Faults (processor_faults.cpp). A fault is noted, then the block is abandoned: no frame is
  // unwound.
  void note_fault(const std::string& what, const Site& site);
  void note_block_fault(const std::string& what);
  [[noreturn]] void abandon_block();
  [[nodiscard]] std::string describe_waiting_threads() const;
  void note_bad_access(std::uintptr_t address, int bytes, MemoryOp op, const Site& site);
  void note_mismatch(const Thread& self, const Thread& other);
  void note_absent_lane(const Thread& reader);

  // Accesses (processor_accesses.cpp).
  Range checked_range(std::uintptr_t address, int bytes, MemoryOp op, const Site& site);
  void observe_global(std::uintptr_t address, int bytes, AccessType type, const Site& site);
  void check_contents(std::uintptr_t address, int bytes, AccessType type, const Site& site);
  void check_race(RaceCell* cells, int bytes, Space space, AccessType type, const Site& site);
  void record(const TraceRecord& record);
  void check_progress(const Site& site);
  void maybe_preempt();

  // Scheduling (processor.cpp).
  static void fiber_main();
  void run_threads_until_one_waits(Thread* first);
  Thread* pick_next();
  void continue_with(Fiber& from, Thread* next);
  void wait_as(ThreadState state, const Site& site);
  void make_ready(Thread& thread);
  void wake(Thread& thread);
  void make_room_in_trace(Warp& warp);
  void flush_trace(int warp, std::uint32_t unfinished);
  void exit_thread(Thread& thread);
  void open_barrier();

  // Collectives (processor_collectives.cpp).
  bool try_complete(int warp, int lane);
  void complete(int warp, std::uint32_t lanes);
  [[nodiscard]] bool is_definite_mismatch(const Thread& a, const Thread& b) const;

  Warp& warp_of(const Thread& thread) {
    return warps_[static_cast<std::size_t>(thread.id / kLanes)];
  }
  Thread& lane_of(int warp, int lane) {
    return threads_[static_cast<std::size_t>(warp * kLanes + lane)];
  }
  std::uint64_t random();

  // Hot.
  Thread* current_ = nullptr;
  std::int64_t unobserved_accesses_ = 0;  // that may follow before one goes to observe_*
  std::array<Range, kKnownRanges> known_ranges_;
  const Grid* grid_ = nullptr;
  std::int64_t block_x_ = 0;
  std::int64_t block_y_ = 0;

  FiberPool fibers_{&Processor::fiber_main};
  Fiber host_;
  Fiber* running_fiber_ = nullptr;
  Thread* to_start_ = nullptr;  // by the fiber that is switched to

  std::vector<Thread> threads_;
  std::array<Warp, kMaxBlockThreads / kLanes> warps_;
  int num_warps_ = 0;
  std::int64_t sequence_ = 0;  // of the block
  std::vector<std::uint16_t> start_order_;
  std::size_t num_started_ = 0;
  int num_exited_ = 0;
  int num_at_barrier_ = 0;
  Site barrier_site_;

  // Threads that can go on, oldest first: a ring that never holds more than one entry for each
  // thread.
  std::array<std::uint16_t, kMaxBlockThreads> ready_;
  std::size_t ready_begin_ = 0;
  std::size_t ready_end_ = 0;

  SharedMemory shared_;
  RaceDetector races_;
  BlockTrace trace_;
  bool observes_all_ = false;        // accesses have more to do than to stay in bounds
  std::int64_t observed_every_ = 0;  // accesses, otherwise
  std::int64_t block_accesses_ = 0;
  std::uint64_t random_state_ = 1;
  bool faulted_ = false;
  std::string fault_;
};

// The processor of the calling host thread while it runs a block. Fibers never move between host
// threads, and the model keeps the access to one instruction in a shared library.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Processor* current_processor;

}  // namespace rowlane::simt::emulated
