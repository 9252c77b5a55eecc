// An array in the emulated device's memory that the host can read and write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/simt/emulated/emulator.h"

namespace rowlane::simt {

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size)
      : size_(size),
        data_(
            static_cast<T*>(emulated::device_alloc(static_cast<std::int64_t>(size * sizeof(T))))) {}
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    for (std::size_t i = 0; i < size_; ++i) {
      (*this)[i] = values[i];
    }
  }
  ~DeviceArray() { emulated::device_free(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  // Counts as initialised from then on.
  T& operator[](std::size_t i) {
    emulated::mark_initialised(data_ + i, sizeof(T));
    return data_[i];
  }
  void fill(T value) {
    for (std::size_t i = 0; i < size_; ++i) {
      (*this)[i] = value;
    }
  }
  [[nodiscard]] std::vector<T> to_vector() const { return {data_, data_ + size_}; }

 private:
  std::size_t size_;
  T* data_;
};

}  // namespace rowlane::simt
