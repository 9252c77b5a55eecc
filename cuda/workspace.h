// How the parts of a workspace lie in it.
#pragma once

#include <cstdint>

namespace rowlane::kernels {

// Parts one after the other, each at a multiple of 256 bytes, as torch's allocator and cudaMalloc
// align a workspace itself.
class WorkspaceLayout {
 public:
  // Parts come after what takes up `begin` bytes.
  constexpr explicit WorkspaceLayout(std::int64_t begin = 0) { take(begin); }

  // Where the next part, of `bytes`, begins.
  constexpr std::int64_t take(std::int64_t bytes) {
    const std::int64_t begin = total_bytes_;
    total_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return begin;
  }

  [[nodiscard]] constexpr std::int64_t total_bytes() const { return total_bytes_; }

 private:
  static constexpr std::int64_t kAlignment = 256;

  std::int64_t total_bytes_ = 0;
};

}  // namespace rowlane::kernels
