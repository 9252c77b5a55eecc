// Stacks that one host thread switches between, at a cost of fourteen instructions.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace rowlane::simt::emulated {

struct Fiber {
  void* stack_pointer = nullptr;  // while it is not running
  char* stack_begin = nullptr;    // lowest address
  std::size_t stack_bytes = 0;
  void* sanitizer_state = nullptr;
};

// Saves the running context in `from` and continues `to`. Returns when something switches back to
// `from`.
void switch_fiber(Fiber& from, Fiber& to);

// Describes the stack of the calling host thread, so that fibers can switch back to it.
Fiber host_fiber();

// Fibers that all start in `entry`, which must call switch_fiber_arrived() first and never return.
class FiberPool {
 public:
  explicit FiberPool(void (*entry)()) : entry_(entry) {}
  ~FiberPool();
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;

  Fiber* take();
  void give_back(Fiber* fiber) { idle_.push_back(fiber); }

  // Makes every fiber idle again, wherever it was: what it had on its stack is gone.
  void abandon_all();

 private:
  void rewind(std::size_t index);

  void (*entry_)();
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> idle_;
};

// The first thing that code on a fresh stack calls.
void switch_fiber_arrived();

}  // namespace rowlane::simt::emulated
