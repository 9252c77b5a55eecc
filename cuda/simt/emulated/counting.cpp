#include "cuda/simt/emulated/counting.h"

#include <algorithm>
#include <utility>

#include "cuda/simt/emulated/device_memory.h"

namespace rowlane::simt::emulated {
namespace {

std::int64_t scaled_l2_bytes(const Options& options) {
  return static_cast<std::int64_t>(static_cast<double>(options.device->info.l2_bytes) *
                                   options.l2_scale);
}

}  // namespace

Counting& Counting::instance() {
  static Counting counting;
  return counting;
}

Counting::Counting() : l2_(0) { restart(CacheStart::kCold); }

void Counting::restart(CacheStart start) {
  const std::lock_guard lock(mutex_);
  launches_.clear();
  traffic_numbers_.clear();
  sites_.clear();
  pending_.clear();
  const Options& now = options();
  const bool other_cache =
      device_ != now.device || l2_scale_ != now.l2_scale || fetch_bytes_ != now.dram_fetch_bytes;
  if (other_cache) {
    device_ = now.device;
    l2_scale_ = now.l2_scale;
    fetch_bytes_ = now.dram_fetch_bytes;
    l2_ = L2Model(scaled_l2_bytes(now), fetch_bytes_);
  }
  if (other_cache || start == CacheStart::kCold) {
    l2_.clear();
    DeviceMemory::instance().restart_counting_addresses();
  } else {
    l2_.write_back();
    l2_.forget_traffic();
  }
}

Counts Counting::finish() {
  const std::lock_guard lock(mutex_);
  l2_.write_back();
  Counts counts{.device = device_, .l2_scale = l2_scale_, .launches = launches_, .sites = {}};
  for (std::size_t i = 0; i < launches_.size(); ++i) {
    if (traffic_numbers_[i] >= 0) {
      counts.launches[i].l2 = l2_.traffic(traffic_numbers_[i]);
    }
  }
  for (const auto& [key, site] : sites_) {
    counts.sites.push_back(site);
  }
  return counts;
}

void Counting::begin_launch() {
  const std::lock_guard lock(mutex_);
  next_sequence_ = 0;
  pending_.clear();
  interleaved_blocks_ = std::max(1, options().interleaved_blocks);
  traffic_numbers_.push_back(l2_.begin_traffic());
}

void Counting::end_launch(LaunchCounts counts) {
  const std::lock_guard lock(mutex_);
  if (interleaved_blocks_ > 1) {
    advance_interleaved(true);
  }
  launches_.push_back(std::move(counts));
}

void Counting::add_sites(const std::string& kernel,
                         const std::unordered_map<std::uintptr_t, SiteCounts>& sites) {
  const std::lock_guard lock(mutex_);
  for (const auto& [pc, site] : sites) {
    SiteCounts& sum = sites_[{kernel, site.place, site.op, site.shared}];
    sum.place = site.place;
    sum.kernel = kernel;
    sum.op = site.op;
    sum.shared = site.shared;
    sum.requests += site.requests;
    sum.lanes += site.lanes;
    sum.sectors += site.sectors;
    sum.useful_bytes += site.useful_bytes;
    sum.shared_passes += site.shared_passes;
  }
}

void Counting::submit(std::int64_t sequence, std::vector<LineAccess>& accesses,
                      bool block_is_complete) {
  const std::lock_guard lock(mutex_);
  if (sequence == next_sequence_ && interleaved_blocks_ == 1 && pending_.empty()) {
    push(accesses);
    next_sequence_ += block_is_complete ? 1 : 0;
  } else {
    PendingBlock& block = pending_[sequence];
    block.accesses.insert(block.accesses.end(), accesses.begin(), accesses.end());
    block.complete = block_is_complete;
    if (interleaved_blocks_ == 1) {
      advance();
    } else {
      advance_interleaved(false);
    }
  }
  accesses.clear();
}

// Passes on all that is next in order.
void Counting::advance() {
  while (!pending_.empty() && pending_.begin()->first == next_sequence_) {
    PendingBlock& block = pending_.begin()->second;
    push(block.accesses);
    block.accesses.clear();
    if (!block.complete) {
      return;
    }
    pending_.erase(pending_.begin());
    ++next_sequence_;
  }
}

// Passes on whole groups of blocks, one access of each block in turn.
void Counting::advance_interleaved(bool is_last) {
  for (;;) {
    std::vector<PendingBlock*> group;
    for (auto& [sequence, block] : pending_) {
      const bool is_next = sequence == next_sequence_ + static_cast<std::int64_t>(group.size());
      if (!is_next || !block.complete || static_cast<int>(group.size()) == interleaved_blocks_) {
        break;
      }
      group.push_back(&block);
    }
    if (group.empty() || (static_cast<int>(group.size()) < interleaved_blocks_ && !is_last)) {
      return;
    }
    bool any_left = true;
    for (std::size_t position = 0; any_left; ++position) {
      any_left = false;
      for (const PendingBlock* block : group) {
        if (position < block->accesses.size()) {
          push(block->accesses[position]);
          any_left = true;
        }
      }
    }
    next_sequence_ += static_cast<std::int64_t>(group.size());
    pending_.erase(pending_.begin(), pending_.lower_bound(next_sequence_));
  }
}

void Counting::push(const std::vector<LineAccess>& accesses) {
  for (const LineAccess& access : accesses) {
    push(access);
  }
}

void Counting::push(LineAccess access) {
  access.line = DeviceMemory::instance().counting_address(access.line * kLineBytes) / kLineBytes;
  l2_.push(access);
}

void Counting::push_range(const void* p, std::int64_t bytes, MemoryOp op) {
  const std::uint64_t begin =
      DeviceMemory::instance().counting_address(reinterpret_cast<std::uintptr_t>(p));
  if (op == MemoryOp::kLoad) {
    l2_.read(begin, bytes);
  } else {
    l2_.write(begin, bytes);
  }
}

void Counting::copy(const char* name, void* to, const void* from, std::int64_t bytes) {
  begin_launch();
  {
    const std::lock_guard lock(mutex_);
    // In pieces, so that a cache smaller than the range sees reads and writes side by side.
    constexpr std::int64_t kPiece = 64 << 10;
    for (std::int64_t offset = 0; offset < bytes; offset += kPiece) {
      const std::int64_t piece = std::min(kPiece, bytes - offset);
      if (from != nullptr) {
        push_range(static_cast<const char*>(from) + offset, piece, MemoryOp::kLoad);
      }
      push_range(static_cast<char*>(to) + offset, piece, MemoryOp::kStore);
    }
  }
  end_launch({.name = name, .launches = 1});
}

void Counting::library_call(const LaunchCounts& counts) {
  const std::lock_guard lock(mutex_);
  launches_.push_back(counts);
  traffic_numbers_.push_back(-1);
}

}  // namespace rowlane::simt::emulated
