// The shared memory of the block that a processor runs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cuda/simt/emulated/race_cell.h"

namespace rowlane::simt::emulated {

// A typed view of shared memory stays inside one of these.
struct SharedWindow {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

class SharedMemory {
 public:
  void begin_launch(std::int64_t dynamic_bytes, std::int64_t limit, bool poison);
  void begin_block();

  // The array that `key` names, laid out when it is first asked for. Nothing when the launch then
  // uses more static memory than a kernel may declare, or more memory than a block may have.
  std::optional<SharedWindow> static_array(const void* key, std::int64_t bytes);
  [[nodiscard]] SharedWindow dynamic_window() const { return {0, dynamic_bytes_}; }

  [[nodiscard]] char* data(std::int64_t offset) { return bytes_.data() + offset; }
  [[nodiscard]] RaceCell* race_cells(std::int64_t offset);
  void clear_race_cells() { race_cells_.clear(); }

  void mark_written(std::int64_t offset, std::int64_t bytes);
  [[nodiscard]] bool all_written(std::int64_t offset, std::int64_t bytes) const;

  [[nodiscard]] std::int64_t used_bytes() const { return used_bytes_; }

 private:
  void make_fresh(std::int64_t offset, std::int64_t bytes);

  struct StaticArray {
    const void* key;
    SharedWindow window;
  };
  std::int64_t dynamic_bytes_ = 0;
  std::int64_t used_bytes_ = 0;
  std::int64_t limit_ = 0;
  bool poison_ = true;
  std::vector<StaticArray>
      static_arrays_;  // of this launch, in the order in which it asked for them
  std::vector<char> bytes_;
  std::vector<bool> written_;
  std::vector<RaceCell> race_cells_;
};

}  // namespace rowlane::simt::emulated
