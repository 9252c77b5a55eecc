#include "cuda/simt/emulated/warp_trace.h"

#include <algorithm>
#include <bit>

namespace rowlane::simt::emulated {

void WarpTrace::begin_block(int warp, int num_lanes) {
  if (records_ == nullptr) {
    constexpr std::size_t kRecords = std::size_t{kCapacity} * 32;
    records_ = std::make_unique_for_overwrite<TraceRecord[]>(kRecords);
    occurrences_ = std::make_unique_for_overwrite<std::uint16_t[]>(kRecords);
  }
  warp_ = warp;
  num_lanes_ = num_lanes;
  counts_.fill(0);
}

void WarpTrace::flush(std::uint32_t unfinished, InstructionSink& sink) {
  const std::uint32_t active = lanes_with_records({});
  if (active == 0) {
    return;
  }
  Positions positions{};
  const int common = flush_common_prefix(active, sink);
  for (int lane = 0; lane < num_lanes_; ++lane) {
    positions[static_cast<std::size_t>(lane)] =
        std::min(common, counts_[static_cast<std::size_t>(lane)]);
  }
  const std::uint32_t rest = lanes_with_records(positions);
  if (rest != 0 && (unfinished & ~rest) == 0) {
    number_occurrences(rest);
    Positions by_source = positions;
    Positions by_occurrence = positions;
    const int num_by_source = merge(Rule::kSourcePosition, 0, by_source, nullptr);
    const int num_by_occurrence = merge(Rule::kOccurrence, 0, by_occurrence, nullptr);
    merge(num_by_occurrence < num_by_source ? Rule::kOccurrence : Rule::kSourcePosition, unfinished,
          positions, &sink);
  }
  discard(positions);
}

std::uint32_t WarpTrace::lanes_with_records(const Positions& positions) const {
  std::uint32_t lanes = 0;
  for (int lane = 0; lane < num_lanes_; ++lane) {
    const auto l = static_cast<std::size_t>(lane);
    lanes |= positions[l] < counts_[l] ? 1U << lane : 0U;
  }
  return lanes;
}

// The leading records that agree in all active lanes, when these are the first lanes of the warp
// without a gap. Returns how many there are.
int WarpTrace::flush_common_prefix(std::uint32_t active, InstructionSink& sink) {
  const int num_active = std::popcount(active);
  if (active != ~0U >> (32 - num_active)) {
    return 0;
  }
  const int shortest = *std::min_element(counts_.begin(), counts_.begin() + num_active);
  InstructionLanes lanes;
  lanes.count = num_active;
  int position = 0;
  for (; position < shortest; ++position) {
    const TraceRecord* first = &records_[slot(position, 0)];
    std::uintptr_t difference = 0;
    for (int lane = 0; lane < num_active; ++lane) {
      difference |= program_counter(first[lane].site()) ^ program_counter(first->site());
      lanes.records[static_cast<std::size_t>(lane)] = first + lane;
    }
    if (difference != 0) {
      break;
    }
    sink.instruction(warp_, lanes);
  }
  return position;
}

// How often each lane executed a call before, among the records at hand.
void WarpTrace::number_occurrences(std::uint32_t active) {
  constexpr int kMostSites = 24;  // further ones all count as first executions
  struct Seen {
    std::uintptr_t pc;
    std::uint16_t count;
  };
  for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    std::array<Seen, kMostSites> seen;
    int num_seen = 0;
    for (int position = 0; position < counts_[static_cast<std::size_t>(lane)]; ++position) {
      const std::uintptr_t pc = program_counter(records_[slot(position, lane)].site());
      auto* const end = seen.begin() + num_seen;
      auto* const found =
          std::find_if(seen.begin(), end, [pc](const Seen& s) { return s.pc == pc; });
      std::uint16_t occurrence = 0;
      if (found != end) {
        occurrence = found->count++;
      } else if (num_seen < kMostSites) {
        seen[static_cast<std::size_t>(num_seen++)] = {pc, 1};
      }
      occurrences_[slot(position, lane)] = occurrence;
    }
  }
}

WarpTrace::Key WarpTrace::key(Rule rule, int position, int lane) const {
  const std::size_t index = slot(position, lane);
  const Site& site = records_[index].site();
  const std::uint32_t occurrence = rule == Rule::kOccurrence ? occurrences_[index] : 0;
  return {occurrence, site.line(), site.column(), program_counter(site)};
}

int WarpTrace::merge(Rule rule, std::uint32_t unfinished, Positions& positions,
                     InstructionSink* sink) {
  int num_instructions = 0;
  std::array<Key, 32> keys;
  std::uint32_t active = lanes_with_records(positions);
  for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    keys[static_cast<std::size_t>(lane)] =
        key(rule, positions[static_cast<std::size_t>(lane)], lane);
  }
  while (active != 0 && (unfinished & ~active) == 0) {
    Key smallest = keys[static_cast<std::size_t>(std::countr_zero(active))];
    for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) {
      smallest = std::min(smallest, keys[static_cast<std::size_t>(std::countr_zero(rest))]);
    }
    InstructionLanes lanes;
    for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      const auto l = static_cast<std::size_t>(lane);
      if (keys[l] != smallest) {
        continue;
      }
      lanes.records[static_cast<std::size_t>(lanes.count++)] = &records_[slot(positions[l], lane)];
      if (++positions[l] == counts_[l]) {
        active &= ~(1U << lane);
      } else {
        keys[l] = key(rule, positions[l], lane);
      }
    }
    ++num_instructions;
    if (sink != nullptr) {
      sink->instruction(warp_, lanes);
    }
  }
  return num_instructions;
}

void WarpTrace::discard(const Positions& positions) {
  for (int lane = 0; lane < num_lanes_; ++lane) {
    const auto l = static_cast<std::size_t>(lane);
    counts_[l] -= positions[l];
    for (int i = 0; positions[l] > 0 && i < counts_[l]; ++i) {
      records_[slot(i, lane)] = records_[slot(i + positions[l], lane)];
    }
  }
}

}  // namespace rowlane::simt::emulated
