#include "cuda/simt/emulated/shared_memory.h"

#include <algorithm>
#include <cstring>

namespace rowlane::simt::emulated {
namespace {

constexpr std::int64_t kAlignment = 16;
constexpr std::int64_t kMostStaticBytes = 48 << 10;
constexpr int kPoison = 0xff;

constexpr std::int64_t align(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

void SharedMemory::begin_launch(std::int64_t dynamic_bytes, std::int64_t limit, bool poison) {
  dynamic_bytes_ = dynamic_bytes;
  limit_ = limit;
  poison_ = poison;
  used_bytes_ = align(dynamic_bytes);
  static_arrays_.clear();
  if (bytes_.size() < static_cast<std::size_t>(align(limit))) {
    bytes_.resize(static_cast<std::size_t>(align(limit)));
    written_.resize(bytes_.size());
  }
}

void SharedMemory::begin_block() { make_fresh(0, used_bytes_); }

void SharedMemory::make_fresh(std::int64_t offset, std::int64_t bytes) {
  if (poison_) {
    std::memset(data(offset), kPoison, static_cast<std::size_t>(bytes));
  }
  std::fill_n(written_.begin() + offset, bytes, false);
}

std::optional<SharedWindow> SharedMemory::static_array(const void* key, std::int64_t bytes) {
  for (const StaticArray& array : static_arrays_) {
    if (array.key == key) {
      return array.window;
    }
  }
  const std::int64_t offset = used_bytes_;
  const std::int64_t end = align(offset + bytes);
  if (end - align(dynamic_bytes_) > kMostStaticBytes || end > align(limit_)) {
    return std::nullopt;
  }
  used_bytes_ = end;
  make_fresh(offset, end - offset);
  static_arrays_.push_back({key, {offset, bytes}});
  return static_arrays_.back().window;
}

RaceCell* SharedMemory::race_cells(std::int64_t offset) {
  if (race_cells_.size() < bytes_.size()) {
    race_cells_.resize(bytes_.size());
  }
  return race_cells_.data() + offset;
}

void SharedMemory::mark_written(std::int64_t offset, std::int64_t bytes) {
  std::fill_n(written_.begin() + offset, bytes, true);
}

bool SharedMemory::all_written(std::int64_t offset, std::int64_t bytes) const {
  return std::all_of(written_.begin() + offset, written_.begin() + offset + bytes,
                     [](bool written) { return written; });
}

}  // namespace rowlane::simt::emulated
