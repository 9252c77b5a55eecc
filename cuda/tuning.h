// Where one algorithm becomes faster than another: what rowlane-tune measures on a device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy.h"
#include "simt/status.h"

namespace rowlane::kernels {

// The defaults are an H100's by the model (docs/emulated-device.md).
struct Tuning {
  // Up to this many indices, kAuto makes a dense gradient in one launch; at most kSmallMaxIndices.
  std::int64_t small_max_indices = kSmallMaxIndices;
  // Up to this many indices, the sort is our own; between kMaxBlockSort and kMaxTileSort.
  std::int64_t tile_sort_max_indices = kMaxTileSort;

  friend bool operator==(const Tuning&, const Tuning&) = default;
};

// The text of a tuning file: lines `name = value`, and comments from a # on. `device` is the name
// of the device that was measured.
std::string format_tuning(const Tuning& tuning, std::string_view device);

// The inverse. An error names the line that is wrong, or says that the text is for another device
// than `device`; *tuning is unchanged then.
Status parse_tuning(std::string_view text, std::string_view device, Tuning* tuning);

}  // namespace rowlane::kernels
