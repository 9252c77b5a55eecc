// Indices out of range: from what kernels have recorded to c10::IndexError.
#pragma once

#include <c10/core/Device.h>

#include "cuda/index_report.h"

namespace rowlane::device {

// One call of an op. Its beginning throws what earlier calls have left behind.
class IndexCheck {
 public:
  // `op`, a literal, begins the message.
  IndexCheck(const char* op, c10::Device device);

  // For the kernels; null in mode kOff.
  [[nodiscard]] kernels::IndexReport* report() const { return report_; }

  // After the last launch: in mode kChecked waits for the current stream, and throws.
  void finish() const;

 private:
  c10::Device device_;
  kernels::IndexReport* report_ = nullptr;
};

}  // namespace rowlane::device
