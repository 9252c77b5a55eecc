// Puts torch's CPU tensors into the memory of the emulated device, so that it checks the glue's
// pointers too.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstring>

#include "cuda/simt/emulated/emulator.h"

namespace rowlane::device {
namespace {

class EmulatedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const p = simt::emulated::device_alloc(static_cast<std::int64_t>(bytes));
    return {p, p, &release, c10::Device(c10::kCPU)};
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* dst, const void* src, std::size_t bytes) const override {
    std::memcpy(dst, src, bytes);
  }

 private:
  static void release(void* p) {
    if (p != nullptr) {
      simt::emulated::device_free(p);
    }
  }
};

EmulatedMemory emulated_memory;

// The highest priority, so that nothing replaces it later.
[[maybe_unused]] const bool installed = [] {
  c10::SetCPUAllocator(&emulated_memory, /*priority=*/255);
  return true;
}();

}  // namespace
}  // namespace rowlane::device
