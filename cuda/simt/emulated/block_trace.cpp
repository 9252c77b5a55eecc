#include "cuda/simt/emulated/block_trace.h"

#include <algorithm>
#include <bit>

#include "cuda/simt/emulated/device_memory.h"

namespace rowlane::simt::emulated {
namespace {

constexpr std::uint64_t kWordBytes = 4;
constexpr int kBanks = 32;

// How often shared memory must be read or written for one instruction: each pass serves one word of
// each of 32 banks.
struct SharedPasses {
  int needed = 0;  // by the number of words alone
  int taken = 0;
};

// Lanes that read one word share its pass; atomics on it follow one another.
SharedPasses shared_passes(const InstructionLanes& lanes, bool atomic) {
  std::array<std::uint32_t, 32 * 16> words;
  std::size_t count = 0;
  for (int lane = 0; lane < lanes.count; ++lane) {
    const TraceRecord& record = *lanes.records[static_cast<std::size_t>(lane)];
    const std::uint64_t end = record.address() + static_cast<std::uint64_t>(record.bytes());
    for (std::uint64_t word = record.address() / kWordBytes; word * kWordBytes < end; ++word) {
      words[count++] = static_cast<std::uint32_t>(word);
    }
  }
  if (!atomic) {
    std::sort(words.begin(), words.begin() + count);
    count =
        static_cast<std::size_t>(std::unique(words.begin(), words.begin() + count) - words.begin());
  }
  std::array<int, kBanks> per_bank{};
  for (std::size_t i = 0; i < count; ++i) {
    ++per_bank[words[i] % kBanks];
  }
  return {static_cast<int>((count + kBanks - 1) / kBanks),
          *std::max_element(per_bank.begin(), per_bank.end())};
}

}  // namespace

void L1Model::begin_block() {
  ++block_;
  allocations_.clear();
}

// The number of a line among the lines of its allocation, and the number of that among the
// allocations of the block: neither depends on where memory happens to lie.
std::uint64_t L1Model::name_of(std::uint64_t line) {
  constexpr int kLineBits = 40;
  const Allocation* allocation = DeviceMemory::instance().find(line * kLineBytes);
  if (allocation == nullptr) {
    return line;
  }
  auto known = std::find(allocations_.begin(), allocations_.end(), allocation);
  if (known == allocations_.end()) {
    known = allocations_.insert(known, allocation);
  }
  const auto number = static_cast<std::uint64_t>(known - allocations_.begin());
  return (line - allocation->begin / kLineBytes) | (number + 1) << kLineBits;
}

bool L1Model::filter(LineAccess& access) {
  const std::uint64_t name = name_of(access.line);
  Entry& entry = entries_[(name ^ name >> 10 ^ name >> 40) % kLines];
  if (entry.block != block_ || entry.line != name) {
    entry = {block_, name, 0};
  }
  bool any_left = false;
  for (unsigned sector = 0; sector < kSectorsPerLine; ++sector) {
    if (access.bytes[sector] == 0) {
      continue;
    }
    if ((entry.valid >> sector & 1U) != 0) {
      access.bytes[sector] = 0;
    } else {
      entry.valid |= 1U << sector;
      any_left = true;
    }
  }
  return any_left;
}

void BlockTrace::begin_launch(bool use_l1) {
  use_l1_ = use_l1;
  counts_ = {};
  sites_.clear();
  known_sites_.fill({});
  accesses_.clear();
}

void BlockTrace::begin_block(int num_threads) {
  num_threads_ = num_threads;
  l1_.begin_block();
  for (int warp = 0; warp * 32 < num_threads; ++warp) {
    const auto w = static_cast<std::size_t>(warp);
    warps_[w].begin_block(warp, std::min(32, num_threads - warp * 32));
    timelines_[w] = {};
    warp_requests_[w] = 0;
  }
}

void BlockTrace::end_rounds() {
  for (int warp = 0; warp * 32 < num_threads_; ++warp) {
    timelines_[static_cast<std::size_t>(warp)].end_round();
  }
}

void BlockTrace::end_block() {
  std::int64_t block_requests = 0;
  for (int warp = 0; warp * 32 < num_threads_; ++warp) {
    const auto w = static_cast<std::size_t>(warp);
    const std::int64_t rounds = timelines_[w].rounds();
    block_requests += warp_requests_[w];
    counts_.max_warp_requests = std::max(counts_.max_warp_requests, warp_requests_[w]);
    counts_.load_rounds += rounds;
    counts_.longest_load_chain = std::max(counts_.longest_load_chain, rounds);
  }
  counts_.max_block_requests = std::max(counts_.max_block_requests, block_requests);
  ++counts_.blocks;
  counts_.threads += num_threads_;
}

SiteCounts& BlockTrace::site_counts(const TraceRecord& record) {
  const std::uintptr_t pc = program_counter(record.site());
  KnownSite& known = known_sites_[(pc >> 3 ^ pc >> 9) % known_sites_.size()];
  if (known.pc != pc) {
    SiteCounts& counts = sites_[pc];
    if (counts.place.empty()) {
      counts.place = to_string(record.site());
      counts.op = record.type().op;
      counts.shared = record.kind() == TraceRecord::Kind::kShared;
    }
    known = {pc, &counts};
  }
  return *known.counts;
}

void BlockTrace::instruction(int warp, const InstructionLanes& lanes) {
  const TraceRecord& first = *lanes.records[0];
  if (first.kind() == TraceRecord::Kind::kExchange) {
    exchange(warp, first.type().value);
    return;
  }
  SiteCounts& site = site_counts(first);
  ++site.requests;
  site.lanes += lanes.count;
  if (first.kind() == TraceRecord::Kind::kShared) {
    shared_access(warp, lanes, site);
  } else {
    global_access(warp, lanes, site);
  }
}

void BlockTrace::shared_access(int warp, const InstructionLanes& lanes, SiteCounts& site) {
  const MemoryOp op = lanes.records[0]->type().op;
  const SharedPasses passes = shared_passes(lanes, is_atomic(op));
  site.shared_passes += passes.taken;
  ++counts_.shared_requests;
  counts_.shared_bank_conflicts += passes.taken - passes.needed;
  if (op != MemoryOp::kLoad) {
    timelines_[static_cast<std::size_t>(warp)].end_round();
  }
}

// The lines of an instruction in the order in which its lanes name them, which, unlike that of
// their addresses, depends on nothing but the kernel.
BlockTrace::TouchedLines BlockTrace::touched_lines(const InstructionLanes& lanes) {
  const AccessType type = lanes.records[0]->type();
  TouchedLines touched;
  auto* const begin = touched.lines.data();
  auto* end = begin;
  std::uint64_t highest = 0;
  for (int lane = 0; lane < lanes.count; ++lane) {
    const TraceRecord& record = *lanes.records[static_cast<std::size_t>(lane)];
    const std::uint64_t line = record.address() / kLineBytes;
    auto* known = end;
    if (end != begin && end[-1].line == line) {
      known = end - 1;
    } else if (line <= highest) {
      known = std::find_if(begin, end, [line](const LineAccess& l) { return l.line == line; });
    }
    if (known == end) {
      *end++ = {.line = line, .op = type.op, .hint = type.hint};
      highest = std::max(highest, line);
    }
    known->bytes[record.address() / kSectorBytes % kSectorsPerLine] |=
        ((1U << record.bytes()) - 1U) << (record.address() % kSectorBytes);
  }
  touched.count = static_cast<int>(end - begin);
  return touched;
}

int BlockTrace::same_word_accesses(const InstructionLanes& lanes, std::uint64_t sector) {
  std::array<int, kSectorBytes / kWordBytes> per_word{};
  for (int lane = 0; lane < lanes.count; ++lane) {
    const TraceRecord& record = *lanes.records[static_cast<std::size_t>(lane)];
    if (record.address() / kSectorBytes == sector) {
      ++per_word[record.address() % kSectorBytes / kWordBytes];
    }
  }
  return *std::max_element(per_word.begin(), per_word.end());
}

void BlockTrace::global_access(int warp, const InstructionLanes& lanes, SiteCounts& site) {
  const TraceRecord& first = *lanes.records[0];
  const AccessType type = first.type();
  const auto w = static_cast<std::size_t>(warp);
  ++warp_requests_[w];
  ++(is_atomic(type.op)            ? counts_.atomic_requests
     : type.op == MemoryOp::kStore ? counts_.store_requests
                                   : counts_.load_requests);
  counts_.divergent_requests += lanes.count < std::min(32, num_threads_ - warp * 32) ? 1 : 0;

  TouchedLines touched = touched_lines(lanes);
  bool beyond_l1 = false;
  for (int i = 0; i < touched.count; ++i) {
    LineAccess& access = touched.lines[static_cast<std::size_t>(i)];
    for (std::size_t sector = 0; sector < kSectorsPerLine; ++sector) {
      if (access.bytes[sector] == 0) {
        continue;
      }
      const int useful_bytes = std::popcount(access.bytes[sector]);
      ++site.sectors;
      ++counts_.sectors;
      site.useful_bytes += useful_bytes;
      counts_.useful_bytes += useful_bytes;
      if (is_atomic(type.op)) {
        access.same_word[sector] = static_cast<std::uint8_t>(
            same_word_accesses(lanes, access.line * kSectorsPerLine + sector));
      }
    }
    if (type.op == MemoryOp::kLoad && use_l1_ && !l1_.filter(access)) {
      continue;
    }
    beyond_l1 = true;
    accesses_.push_back(access);
  }
  counts_.atomic_lanes += is_atomic(type.op) ? lanes.count : 0;

  WarpTimeline& timeline = timelines_[w];
  if (type.op != MemoryOp::kLoad) {
    timeline.end_round();
  }
  if (is_load(type.op) && beyond_l1) {
    timeline.load(program_counter(first.site()), first.address(), type.value);
  }
}

}  // namespace rowlane::simt::emulated
