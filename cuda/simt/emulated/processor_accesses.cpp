// The checks of memory accesses that are off the fast path.
#include "cuda/simt/emulated/processor.h"

namespace rowlane::simt::emulated {

Processor::Range Processor::checked_range(std::uintptr_t address, int bytes, MemoryOp op,
                                          const Site& site) {
  const bool aligned = (address & static_cast<std::uintptr_t>(bytes - 1)) == 0;
  const Allocation* allocation = DeviceMemory::instance().find(address);
  if (aligned && allocation == nullptr && grid_->options.allow_host_memory) {
    return {address, bytes};
  }
  const bool inside =
      allocation != nullptr && allocation->live && address >= allocation->begin &&
      static_cast<std::int64_t>(address - allocation->begin) + bytes <= allocation->bytes;
  if (!aligned || !inside) {
    note_bad_access(address, bytes, op, site);
    abandon_block();
  }
  return {allocation->begin, allocation->bytes};
}

void Processor::observe_global(std::uintptr_t address, int bytes, AccessType type,
                               const Site& site) {
  check_progress(site);
  const Options& options = grid_->options;
  if (options.preempt_every > 0) {
    maybe_preempt();
  }
  if (options.check_initialised || options.check_global_races) {
    check_contents(address, bytes, type, site);
  }
  if (grid_->sink != nullptr) {
    record(TraceRecord(TraceRecord::Kind::kGlobal, address, bytes, type, site));
  }
}

// A block may spin until another block or thread has done something; if that never happens it spins
// for ever.
void Processor::check_progress(const Site& site) {
  block_accesses_ += observed_every_;
  if (block_accesses_ > grid_->options.max_block_accesses) {
    note_fault("endless loop: " + std::to_string(grid_->options.max_block_accesses) +
                   " accesses of a block that does not finish",
               site);
    abandon_block();
  }
  unobserved_accesses_ = observed_every_ - 1;
}

// Is what is read there initialised, and written by nobody else?
void Processor::check_contents(std::uintptr_t address, int bytes, AccessType type,
                               const Site& site) {
  Allocation* allocation = DeviceMemory::instance().find(address);
  if (allocation == nullptr) {
    return;  // memory of the host, which the options allow
  }
  const auto offset = static_cast<std::int64_t>(address - allocation->begin);
  if (grid_->options.check_initialised && allocation->initialised != nullptr) {
    if (type.op != MemoryOp::kStore && !allocation->initialised->all_marked(offset, bytes)) {
      note_fault("uninitialised read of " + std::to_string(bytes) + " bytes, " +
                     DeviceMemory::instance().describe(address),
                 site);
      abandon_block();
    }
    allocation->initialised->mark(offset, bytes);
  }
  if (grid_->options.check_global_races) {
    RaceCell* cells = DeviceMemory::instance().race_cells(*allocation);
    check_race(cells + offset, bytes, Space::kGlobal, type, site);
  }
}

void Processor::check_race(RaceCell* cells, int bytes, Space space, AccessType type,
                           const Site& site) {
  {
    const std::string other = races_.check(cells, bytes, space, type, current_->id);
    if (other.empty()) {
      return;
    }
    const char* self = type.read_only                ? "a read-only load"
                       : type.op == MemoryOp::kLoad  ? "a read"
                       : type.op == MemoryOp::kStore ? "a write"
                                                     : "an atomic";
    note_fault(std::string("race on ") + (space == Space::kShared ? "shared" : "global") +
                   " memory: " + self + " meets " + other,
               site);
  }
  abandon_block();
}

// Where a lane runs far ahead of its warp it waits: the trace matches what the lanes did side by
// side.
void Processor::record(const TraceRecord& record) {
  while (trace_.full(current_->id)) {
    warp_of(*current_).trace_full |= 1U << (current_->id % kLanes);
    wait_as(ThreadState::kTraceFull, record.site());
  }
  trace_.add(current_->id, record);
}

SharedWindow Processor::static_shared(const void* key, std::int64_t bytes, const Site& site) {
  if (const auto window = shared_.static_array(key, bytes)) {
    return *window;
  }
  note_fault("too much shared memory: " + std::to_string(shared_.used_bytes()) +
                 " bytes are in use and " + std::to_string(bytes) + " more are asked for",
             site);
  abandon_block();
}

SharedWindow Processor::dynamic_shared(std::int64_t offset, const Site& site) {
  const std::int64_t bytes = shared_.dynamic_window().bytes - offset;
  if (offset < 0 || bytes < 0) {
    note_fault("byte " + std::to_string(offset) + " of " +
                   std::to_string(shared_.dynamic_window().bytes) +
                   " bytes of dynamic shared memory",
               site);
    abandon_block();
  }
  return {offset, bytes};
}

char* Processor::access_shared(const SharedWindow& window, std::int64_t index, int bytes,
                               int alignment, AccessType type, const Site& site) {
  const std::int64_t offset = window.offset + index * bytes;
  if (index < 0 || (index + 1) * bytes > window.bytes) {
    note_fault("out-of-bounds access to element " + std::to_string(index) +
                   " of a shared array of " + std::to_string(window.bytes / bytes),
               site);
    abandon_block();
  }
  if (offset % alignment != 0) {
    note_fault("misaligned access to " + std::to_string(bytes) + " bytes at byte " +
                   std::to_string(offset) + " of shared memory",
               site);
    abandon_block();
  }
  if (--unobserved_accesses_ < 0) {
    check_progress(site);
    const Options& options = grid_->options;
    if (options.preempt_every > 0) {
      maybe_preempt();
    }
    if (options.check_initialised) {
      if (type.op != MemoryOp::kStore && !shared_.all_written(offset, bytes)) {
        note_fault("uninitialised read of element " + std::to_string(index) +
                       " of a shared array of " + std::to_string(window.bytes / bytes),
                   site);
        abandon_block();
      }
      shared_.mark_written(offset, bytes);
    }
    if (options.check_shared_races) {
      check_race(shared_.race_cells(offset), bytes, Space::kShared, type, site);
    }
    if (grid_->sink != nullptr) {
      record(TraceRecord(TraceRecord::Kind::kShared, static_cast<std::uint64_t>(offset), bytes,
                         type, site));
    }
  }
  return shared_.data(offset);
}

}  // namespace rowlane::simt::emulated
