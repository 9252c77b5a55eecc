// Memory for results on the CPU: large blocks of huge pages that are used again.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Allocator.h>

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

namespace rowlane::cpu {

// The smallest allocation that is kept for reuse. Below, malloc keeps what is freed by itself.
inline constexpr std::size_t kMinBlockBytes = std::size_t{1} << 20;

// Fresh memory costs a page fault per 4 KiB, which takes several times as long as writing it. So
// blocks are mapped in huge pages, and what is freed is kept and handed out again.
//
// - Tensors own their block like any other memory: it comes back when the last storage that uses it
//   dies, in any thread, and a tensor that is resized allocates here again.
// - The blocks that are kept take at most `capacity` bytes, and together with those in use at most
//   kMaxGrowth times as much as the most that were ever in use at a time. What was freed first goes
//   back to the system first. With a capacity of 0, this is torch's own allocator.
// - torch's profiler sees every block as an allocation when it is handed out and as a deallocation
//   when it comes back.
//
// Thread-safe; outlives its blocks.
class BlockCache : public c10::Allocator {
 public:
  // A block serves requests down to 4/5 of its size. So blocks for all sizes up to the largest take
  // 1 + 4/5 + (4/5)^2 + ... times as much as that one.
  static constexpr std::size_t kMaxGrowth = 5;

  explicit BlockCache(std::size_t capacity) : capacity_(capacity) {}
  ~BlockCache() override { shrink(0); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  c10::DataPtr allocate(std::size_t bytes) override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

  // Bytes that are kept for reuse now.
  std::size_t kept_bytes();

 private:
  struct Block {
    BlockCache* owner;
    void* data;
    std::size_t bytes;  // a multiple of a huge page's
  };

  static void free(void* context);
  Block take(std::size_t bytes);
  void keep(const Block& block);

  // With mutex_ held.
  std::optional<Block> find_kept(std::size_t bytes);
  void shrink(std::size_t max_kept_bytes);

  const std::size_t capacity_;
  std::mutex mutex_;
  std::deque<Block> kept_;  // in the order in which they were freed
  std::size_t kept_bytes_ = 0;
  std::size_t used_bytes_ = 0;  // of blocks in use
  std::size_t most_used_bytes_ = 0;
};

// The process's own. Its capacity is the environment variable ROWLANE_CPU_CACHE, in MiB, or else an
// eighth of the memory that the machine has and that the process's control groups let it use.
BlockCache& block_cache();

// A dense tensor on the CPU that is about to be overwritten.
at::Tensor empty_output(at::IntArrayRef sizes, at::ScalarType dtype);

}  // namespace rowlane::cpu
