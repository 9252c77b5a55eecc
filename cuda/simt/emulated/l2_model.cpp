#include "cuda/simt/emulated/l2_model.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <numeric>
#include <stdexcept>

namespace rowlane::simt::emulated {
namespace {

constexpr std::uint32_t kAllBytes = 0xffffffffU;
constexpr std::uint64_t kMaxLine = 0xfffffffeU;

// Stamps: kEvictFirst lines have the lowest, kEvictLast lines the highest.
constexpr std::uint32_t kFirstStamp = 1;
constexpr std::uint32_t kOldestStamp = 2;
constexpr std::uint32_t kLastClass = 1U << 30;
constexpr std::uint32_t kClockLimit = kLastClass - 1;

std::uint32_t byte_mask(std::uint64_t begin, std::uint64_t end) {
  return end - begin == 32 ? kAllBytes : ((1U << (end - begin)) - 1U) << begin;
}

}  // namespace

void L2Traffic::add(const L2Traffic& other) {
  read_sectors += other.read_sectors;
  write_sectors += other.write_sectors;
  atomic_sectors += other.atomic_sectors;
  hit_sectors += other.hit_sectors;
  dram_read_bytes += other.dram_read_bytes;
  dram_write_bytes += other.dram_write_bytes;
  longest_atomic_chain = std::max(longest_atomic_chain, other.longest_atomic_chain);
}

L2Model::L2Model(std::int64_t bytes, int fetch_bytes) : fetch_bytes_(fetch_bytes) {
  if (fetch_bytes != kSectorBytes && fetch_bytes != 2 * kSectorBytes) {
    throw std::invalid_argument("L2Model: a miss fetches 32 or 64 bytes");
  }
  const std::int64_t num_sets = std::max<std::int64_t>(1, bytes / (kLineBytes * kWays));
  sets_.resize(static_cast<std::size_t>(num_sets));
  written_.resize(sets_.size() * kWays);
  writers_.resize(sets_.size() * kWays);
  clear();
}

void L2Model::clear() {
  num_pushed_ = num_applied_ = 0;
  clock_ = kOldestStamp;
  std::fill(sets_.begin(), sets_.end(), Set{});
  std::fill(written_.begin(), written_.end(), std::array<std::uint32_t, kSectorsPerLine>{});
  forget_traffic();
}

void L2Model::forget_traffic() {
  drain();
  std::fill(writers_.begin(), writers_.end(), 0);
  traffics_.assign(1, {});
  chains_.clear();
}

int L2Model::begin_traffic() {
  drain();
  chains_.clear();
  traffics_.emplace_back();
  return static_cast<int>(traffics_.size()) - 1;
}

L2Traffic L2Model::traffic(int number) {
  drain();
  return traffics_.at(static_cast<std::size_t>(number));
}

L2Traffic L2Model::total() {
  drain();
  L2Traffic sum;
  for (const L2Traffic& traffic : traffics_) {
    sum.add(traffic);
  }
  return sum;
}

void L2Model::read(std::uint64_t address, std::int64_t bytes, Hint hint) {
  feed(address, bytes, MemoryOp::kLoad, hint);
}

void L2Model::write(std::uint64_t address, std::int64_t bytes, Hint hint) {
  feed(address, bytes, MemoryOp::kStore, hint);
}

void L2Model::feed(std::uint64_t address, std::int64_t bytes, MemoryOp op, Hint hint) {
  const std::uint64_t end = address + static_cast<std::uint64_t>(bytes);
  while (address < end) {
    LineAccess access{.line = address / kLineBytes, .op = op, .hint = hint};
    const std::uint64_t line_end = std::min(end, (access.line + 1) * kLineBytes);
    while (address < line_end) {
      const std::uint64_t sector_begin = address / kSectorBytes * kSectorBytes;
      const std::uint64_t sector_end = std::min(line_end, sector_begin + kSectorBytes);
      access.bytes[sector_begin / kSectorBytes % kSectorsPerLine] =
          byte_mask(address - sector_begin, sector_end - sector_begin);
      address = sector_end;
    }
    push(access);
  }
}

std::size_t L2Model::set_of(std::uint64_t line) const {
  const auto hash = static_cast<std::uint32_t>(line * 0x9e3779b97f4a7c15ULL >> 32);
  return static_cast<std::size_t>(static_cast<std::uint64_t>(hash) * sets_.size() >> 32);
}

void L2Model::push(const LineAccess& access) {
  if (access.line > kMaxLine) {
    throw std::out_of_range("L2Model: addresses must be below 2^39");
  }
  if (num_pushed_ - num_applied_ == kDelay) {
    apply(delayed_[num_applied_++ % kDelay]);
  }
  const std::size_t set_index = set_of(access.line);
  const Set& set = sets_[set_index];
  __builtin_prefetch(&set.tags, 1);
  __builtin_prefetch(&set.stamps, 1);
  __builtin_prefetch(&set.valid, 1);
  __builtin_prefetch(&writers_[set_index * kWays], 1);
  delayed_[num_pushed_++ % kDelay] = access;
}

void L2Model::drain() {
  while (num_applied_ < num_pushed_) {
    apply(delayed_[num_applied_++ % kDelay]);
  }
}

void L2Model::apply(const LineAccess& access) {
  const std::size_t set_index = set_of(access.line);
  const int way = find_way(set_index, static_cast<std::uint32_t>(access.line) + 1);
  touch(sets_[set_index], way, access.hint);
  L2Traffic& traffic = traffics_.back();
  for (int sector = 0; sector < kSectorsPerLine; ++sector) {
    const auto s = static_cast<std::size_t>(sector);
    if (access.bytes[s] == 0) {
      continue;
    }
    if (access.op == MemoryOp::kStore) {
      ++traffic.write_sectors;
      store_sector(set_index, way, sector, access.bytes[s]);
      continue;
    }
    load_sector(set_index, way, sector);
    if (is_atomic(access.op)) {
      ++traffic.atomic_sectors;
      store_sector(set_index, way, sector, kAllBytes);
      count_chain(access.line * kSectorsPerLine + s, access.same_word[s]);
    } else {
      ++traffic.read_sectors;
    }
  }
}

// The way that holds the line, emptied for it if none did.
int L2Model::find_way(std::size_t set_index, std::uint32_t tag) {
  Set& set = sets_[set_index];
  int found = -1;
  for (int way = 0; way < kWays; ++way) {
    found = set.tags[static_cast<std::size_t>(way)] == tag ? way : found;
  }
  if (found >= 0) {
    return found;
  }
  const auto oldest = std::min_element(set.stamps.begin(), set.stamps.end());
  const int way = static_cast<int>(oldest - set.stamps.begin());
  const auto w = static_cast<std::size_t>(way);
  clean(set_index, way);
  set.valid[w] = 0;
  if ((set.partial >> w & 1U) != 0) {
    set.partial = static_cast<std::uint16_t>(set.partial & ~(1U << w));
    written_[set_index * kWays + w] = {};
  }
  set.tags[w] = tag;
  return way;
}

void L2Model::touch(Set& set, int way, Hint hint) {
  if (++clock_ >= kClockLimit) {
    compress_stamps();
  }
  auto& stamp = set.stamps[static_cast<std::size_t>(way)];
  switch (hint) {
    case Hint::kNone:
      stamp = clock_;
      break;
    case Hint::kEvictFirst:
      stamp = kFirstStamp;
      break;
    case Hint::kEvictLast:
      stamp = clock_ + kLastClass;
      break;
  }
}

// Restarts the clock; within each set the order stays.
void L2Model::compress_stamps() {
  for (Set& set : sets_) {
    std::array<int, kWays> order;
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      return set.stamps[static_cast<std::size_t>(a)] < set.stamps[static_cast<std::size_t>(b)];
    });
    std::uint32_t rank = kOldestStamp;
    for (const int way : order) {
      auto& stamp = set.stamps[static_cast<std::size_t>(way)];
      stamp = stamp <= kFirstStamp ? stamp : rank + (stamp >= kLastClass ? kLastClass : 0);
      ++rank;
    }
  }
  clock_ = kOldestStamp + kWays;
}

void L2Model::load_sector(std::size_t set_index, int way, int sector) {
  Set& set = sets_[set_index];
  const auto w = static_cast<std::size_t>(way);
  if ((set.valid[w] >> sector & 1U) != 0) {
    ++traffics_.back().hit_sectors;
    return;
  }
  const unsigned pair = fetch_bytes_ == kSectorBytes ? 1U << sector : 3U << (sector & 2);
  const unsigned missing = pair & ~static_cast<unsigned>(set.valid[w]);
  traffics_.back().dram_read_bytes += std::int64_t{kSectorBytes} * std::popcount(missing);
  set.valid[w] = static_cast<std::uint8_t>(set.valid[w] | missing);
}

void L2Model::store_sector(std::size_t set_index, int way, int sector, std::uint32_t bytes) {
  Set& set = sets_[set_index];
  const auto w = static_cast<std::size_t>(way);
  const std::size_t slot = set_index * kWays + w;
  const unsigned bit = 1U << sector;
  set.dirty[w] = static_cast<std::uint8_t>(set.dirty[w] | bit);
  writers_[slot] = static_cast<std::int32_t>(traffics_.size()) - 1;
  if ((set.valid[w] & bit) != 0) {
    return;
  }
  if (bytes != kAllBytes) {
    set.partial |= static_cast<std::uint16_t>(1U << w);
    bytes |= written_[slot][static_cast<std::size_t>(sector)];
    written_[slot][static_cast<std::size_t>(sector)] = bytes;
  }
  if (bytes == kAllBytes) {
    set.valid[w] = static_cast<std::uint8_t>(set.valid[w] | bit);
  }
}

// Writes the dirty sectors of a way to DRAM. Those that are not wholly known are read first.
void L2Model::clean(std::size_t set_index, int way) {
  Set& set = sets_[set_index];
  const auto w = static_cast<std::size_t>(way);
  if (set.dirty[w] == 0) {
    return;
  }
  const auto writer = static_cast<std::size_t>(writers_[set_index * kWays + w]);
  const unsigned dirty = set.dirty[w];
  const unsigned incomplete = dirty & ~static_cast<unsigned>(set.valid[w]);
  traffics_[writer].dram_write_bytes += std::int64_t{kSectorBytes} * std::popcount(dirty);
  traffics_[writer].dram_read_bytes += std::int64_t{kSectorBytes} * std::popcount(incomplete);
  set.valid[w] = static_cast<std::uint8_t>(set.valid[w] | incomplete);
  set.dirty[w] = 0;
}

void L2Model::write_back() {
  drain();
  for (std::size_t set_index = 0; set_index < sets_.size(); ++set_index) {
    for (int way = 0; way < kWays; ++way) {
      clean(set_index, way);
    }
  }
}

void L2Model::count_chain(std::uint64_t sector, int length) {
  auto& page = chains_[sector / kChainPage];
  if (page.empty()) {
    page.resize(kChainPage);
  }
  std::uint32_t& chain = page[sector % kChainPage];
  chain += static_cast<std::uint32_t>(std::max(length, 1));
  auto& longest = traffics_.back().longest_atomic_chain;
  longest = std::max<std::int64_t>(longest, chain);
}

}  // namespace rowlane::simt::emulated
