// A model of the L2 cache, fed with accesses and counting what reaches DRAM.
//
// Lines of 128 bytes in four sectors of 32, 16 ways, the set chosen by a hash of the line, least
// recently used out first. A miss of a load or an atomic fetches the sector. A store fetches
// nothing; a mask remembers which bytes it wrote, and a sector that is only partly written when it
// leaves the cache costs a read as well as a write.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cuda/simt/emulated/memory_op.h"

namespace rowlane::simt::emulated {

inline constexpr int kSectorBytes = 32;
inline constexpr int kSectorsPerLine = 4;
inline constexpr int kLineBytes = kSectorBytes * kSectorsPerLine;

// What one warp instruction does to one line.
struct LineAccess {
  std::uint64_t line = 0;                              // address / kLineBytes
  std::array<std::uint32_t, kSectorsPerLine> bytes{};  // of each sector, a bit for each byte
  // For an atomic: accesses to the busiest word of each sector, which follow one another.
  std::array<std::uint8_t, kSectorsPerLine> same_word{};
  MemoryOp op = MemoryOp::kLoad;
  Hint hint = Hint::kNone;
};

struct L2Traffic {
  std::int64_t read_sectors = 0;
  std::int64_t write_sectors = 0;
  std::int64_t atomic_sectors = 0;
  std::int64_t hit_sectors = 0;  // of loads and atomics
  std::int64_t dram_read_bytes = 0;
  std::int64_t dram_write_bytes = 0;
  // The most atomics that one sector got, each after the other.
  std::int64_t longest_atomic_chain = 0;

  [[nodiscard]] std::int64_t sectors() const {
    return read_sectors + write_sectors + atomic_sectors;
  }
  [[nodiscard]] std::int64_t dram_bytes() const { return dram_read_bytes + dram_write_bytes; }
  // Chains of two traffics follow one another only within a launch, so the longer one counts.
  void add(const L2Traffic& other);
  friend bool operator==(const L2Traffic&, const L2Traffic&) = default;
};

class L2Model {
 public:
  // fetch_bytes: what a read miss fetches, 32 or 64.
  explicit L2Model(std::int64_t bytes, int fetch_bytes = kSectorBytes);

  // Feeds whole accesses, for instance the ideal trace of an algorithm, whose traffic is the floor
  // that a kernel is held against. Addresses are the caller's own, below 2^39.
  void read(std::uint64_t address, std::int64_t bytes, Hint hint = Hint::kNone);
  void write(std::uint64_t address, std::int64_t bytes, Hint hint = Hint::kNone);

  // Feeds one access of a kernel. It takes effect a little later; every function below waits.
  void push(const LineAccess& access);

  // From here on accesses are charged to a new traffic, whose number this returns. A line written
  // back is charged to whoever wrote it last.
  int begin_traffic();
  [[nodiscard]] L2Traffic traffic(int number);
  [[nodiscard]] L2Traffic total();

  // Writes dirty sectors to DRAM; they stay in the cache.
  void write_back();
  // Empties the cache without writing anything, and forgets all traffic.
  void clear();
  // Forgets all traffic, keeps the cache.
  void forget_traffic();

 private:
  static constexpr int kWays = 16;
  struct alignas(64) Set {
    std::array<std::uint32_t, kWays> tags{};    // line + 1; 0 is an empty way
    std::array<std::uint32_t, kWays> stamps{};  // the larger, the more recently used
    std::array<std::uint8_t, kWays> valid{};    // a bit for each sector
    std::array<std::uint8_t, kWays> dirty{};
    std::uint16_t partial = 0;  // ways with a sector whose bytes are not all known
  };
  // Delays accesses so that the host's cache misses on their sets overlap.
  static constexpr std::size_t kDelay = 64;

  [[nodiscard]] std::size_t set_of(std::uint64_t line) const;
  void feed(std::uint64_t address, std::int64_t bytes, MemoryOp op, Hint hint);
  void drain();
  void apply(const LineAccess& access);
  int find_way(std::size_t set_index, std::uint32_t tag);
  void touch(Set& set, int way, Hint hint);
  void load_sector(std::size_t set_index, int way, int sector);
  void store_sector(std::size_t set_index, int way, int sector, std::uint32_t bytes);
  void clean(std::size_t set_index, int way);
  void compress_stamps();
  void count_chain(std::uint64_t sector, int length);

  int fetch_bytes_;
  std::uint32_t clock_ = 0;
  std::vector<Set> sets_;
  std::vector<std::array<std::uint32_t, kSectorsPerLine>> written_;  // bytes of partial ways
  std::vector<std::int32_t> writers_;                                // traffic that wrote each way
  std::array<LineAccess, kDelay> delayed_;
  std::size_t num_pushed_ = 0;
  std::size_t num_applied_ = 0;

  std::vector<L2Traffic> traffics_;
  // Atomics on each sector since begin_traffic, in pages of neighbouring sectors.
  static constexpr std::uint64_t kChainPage = 1024;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> chains_;
};

}  // namespace rowlane::simt::emulated
