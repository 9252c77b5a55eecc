// What happens on a GPU to an index that is out of range. On the CPU it is always an error at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "rowlane/export.h"

namespace rowlane {

// In every mode such an index reads and writes nothing: its output row is zero, its gradient is
// dropped, and the CUDA context stays alive.
enum class IndexErrors : std::uint8_t {
  // Kernels record it, and the next call of Rowlane on a GPU, or synchronize(), throws
  // c10::IndexError. Costs nothing and never waits for the device.
  kDeferred,
  // The call itself waits for the device and throws. In the capture of a CUDA graph, where it can't
  // wait, as kDeferred.
  kChecked,
  // Nothing is recorded.
  kOff,
};

// The mode of the process, for all threads. It is kDeferred at first, or what the environment
// variable ROWLANE_INDEX_ERRORS says: "deferred", "checked" or "off".
ROWLANE_EXPORT void set_index_errors(IndexErrors mode);

// The mode of the calling thread: of its innermost IndexErrorsGuard, or of the process.
ROWLANE_EXPORT IndexErrors index_errors();

// Sets the mode of the calling thread until the end of a scope. A backward pass on a GPU runs in a
// thread of its own and has the mode of the process.
class ROWLANE_EXPORT IndexErrorsGuard {
 public:
  explicit IndexErrorsGuard(IndexErrors mode);
  ~IndexErrorsGuard();
  IndexErrorsGuard(const IndexErrorsGuard&) = delete;
  IndexErrorsGuard& operator=(const IndexErrorsGuard&) = delete;

 private:
  std::optional<IndexErrors> previous_;
};

// "deferred", "checked" or "off".
ROWLANE_EXPORT std::string_view to_string(IndexErrors mode);

// Waits for every GPU that Rowlane was called on, and throws c10::IndexError if a kernel has
// recorded an index out of range since the last such error: with the op, the position, the value
// and the number of rows of one of them, and how many there were.
ROWLANE_EXPORT void synchronize();

}  // namespace rowlane
