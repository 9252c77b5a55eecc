// What went wrong, in words.
#include <utility>

#include "cuda/simt/emulated/processor.h"
#include "cuda/simt/emulated/thread_list.h"

namespace rowlane::simt::emulated {
namespace {

std::string hex(std::uint64_t value) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value % 16]);
    value /= 16;
  } while (value != 0);
  return "0x" + text;
}

const char* name_of(Collective kind) {
  switch (kind) {
    case Collective::kShuffle:
      return "a shuffle";
    case Collective::kBallot:
      return "a vote";
    case Collective::kMatch:
      return "match_any";
    case Collective::kSyncWarp:
      return "sync_warp";
  }
  return "";
}

const char* name_of(MemoryOp op) {
  switch (op) {
    case MemoryOp::kLoad:
      return "read";
    case MemoryOp::kStore:
      return "write";
    case MemoryOp::kReduce:
    case MemoryOp::kAtomic:
      return "atomic";
  }
  return "";
}

}  // namespace

void Processor::note_block_fault(const std::string& what) {
  faulted_ = true;
  fault_ = std::string(grid_->name) + ": " + what + "; block (" + std::to_string(block_x_) + ", " +
           std::to_string(block_y_) + ")";
}

void Processor::note_fault(const std::string& what, const Site& site) {
  note_block_fault(what + " at " + to_string(site));
  fault_ += ", thread " + std::to_string(current_->id);
}

// The threads that still wait are left as they are: kernels own nothing that needs destroying.
void Processor::abandon_block() {
  running_fiber_ = nullptr;
  Fiber abandoned;
  switch_fiber(abandoned, host_);
  __builtin_unreachable();
}

void Processor::note_bad_access(std::uintptr_t address, int bytes, MemoryOp op, const Site& site) {
  const std::string access =
      std::string(name_of(op)) + " of " + std::to_string(bytes) + " bytes at " + hex(address);
  const Allocation* allocation = DeviceMemory::instance().find(address);
  const std::string where = DeviceMemory::instance().describe(address);
  if ((address & static_cast<std::uintptr_t>(bytes - 1)) != 0) {
    note_fault("misaligned " + access + ", " + where, site);
  } else if (allocation != nullptr && !allocation->live && address >= allocation->begin) {
    note_fault("use after free: " + access + ", " + where, site);
  } else {
    note_fault("out-of-bounds " + access + ", " + where, site);
  }
}

void Processor::note_mismatch(const Thread& self, const Thread& other) {
  current_ = &threads_[static_cast<std::size_t>(self.id)];
  note_fault("wrong mask: " + std::string(name_of(self.collective)) + " with mask " +
                 hex(self.mask) + " meets thread " + std::to_string(other.id) + " in " +
                 name_of(other.collective) + " with mask " + hex(other.mask) + " at " +
                 to_string(other.site),
             self.site);
}

void Processor::note_absent_lane(const Thread& reader) {
  current_ = &threads_[static_cast<std::size_t>(reader.id)];
  note_fault("wrong mask: a shuffle reads lane " + std::to_string(reader.source_lane) +
                 ", which has exited or is not in its mask " + hex(reader.mask),
             reader.site);
}

std::string Processor::describe_waiting_threads() const {
  // In the order of their first thread.
  std::vector<std::pair<std::string, std::vector<int>>> groups;
  for (const Thread& thread : threads_) {
    std::string what;
    if (thread.state == ThreadState::kAtBarrier) {
      what = "wait in sync_block at " + to_string(thread.site);
    } else if (thread.state == ThreadState::kInCollective) {
      what = "wait in " + std::string(name_of(thread.collective)) + " with mask " +
             hex(thread.mask) + " at " + to_string(thread.site);
    } else {
      continue;
    }
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& candidate) { return candidate.first == what; });
    if (group == groups.end()) {
      group = groups.insert(group, {what, {}});
    }
    group->second.push_back(thread.id);
  }
  std::string text = "deadlock: ";
  for (const auto& [what, threads] : groups) {
    text += thread_list(threads) + " " + what + "; ";
  }
  return text + std::to_string(num_exited_) + " of " + std::to_string(threads_.size()) +
         " threads have exited";
}

}  // namespace rowlane::simt::emulated
