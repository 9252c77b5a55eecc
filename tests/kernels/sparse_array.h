// Large memory of the emulated device for tests of offsets.
#pragma once

#include <cstdint>

#include "cuda/simt/emulated/emulator.h"

namespace rowlane::simt {

// Memory that is reserved, but only where it is touched backed by pages.
class SparseArray {
 public:
  explicit SparseArray(std::int64_t bytes) {
    const emulated::ScopedOptions options;
    options->poison = false;
    data_ = emulated::device_alloc(bytes);
  }
  ~SparseArray() { emulated::device_free(data_); }
  SparseArray(const SparseArray&) = delete;
  SparseArray& operator=(const SparseArray&) = delete;
  template <typename T>
  [[nodiscard]] T* data() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
};

}  // namespace rowlane::simt
