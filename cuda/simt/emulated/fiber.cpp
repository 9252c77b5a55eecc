#include "cuda/simt/emulated/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the callee-saved registers and the stack pointer, and restores those of another stack. The
// rest of the machine state is dead across a function call, and the floating-point control words
// never differ.
extern "C" void rowlane_simt_switch_stacks(void** save_stack_pointer, void* stack_pointer);
asm(R"(
.text
.hidden rowlane_simt_switch_stacks
.globl rowlane_simt_switch_stacks
.type rowlane_simt_switch_stacks, @function
rowlane_simt_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size rowlane_simt_switch_stacks, . - rowlane_simt_switch_stacks
)");

namespace rowlane::simt::emulated {
namespace {

constexpr std::size_t kGuardBytes = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 256 << 10;  // instrumented frames are several times larger
#else
constexpr std::size_t kStackBytes = 64 << 10;
#endif
constexpr std::size_t kSavedRegisters = 6;

}  // namespace

void switch_fiber(Fiber& from, Fiber& to) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.sanitizer_state, to.stack_begin, to.stack_bytes);
  rowlane_simt_switch_stacks(&from.stack_pointer, to.stack_pointer);
  __sanitizer_finish_switch_fiber(from.sanitizer_state, nullptr, nullptr);
#else
  rowlane_simt_switch_stacks(&from.stack_pointer, to.stack_pointer);
#endif
}

void switch_fiber_arrived() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

Fiber host_fiber() {
  Fiber fiber;
#ifdef __SANITIZE_ADDRESS__
  pthread_attr_t attributes;
  void* begin = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &begin, &fiber.stack_bytes);
  pthread_attr_destroy(&attributes);
  fiber.stack_begin = static_cast<char*>(begin);
#endif
  return fiber;
}

FiberPool::~FiberPool() {
  for (const auto& fiber : all_) {
    munmap(fiber->stack_begin, fiber->stack_bytes);
  }
}

Fiber* FiberPool::take() {
  if (idle_.empty()) {
    void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
      throw std::bad_alloc();
    }
    mprotect(stack, kGuardBytes, PROT_NONE);
    all_.push_back(std::make_unique<Fiber>());
    all_.back()->stack_begin = static_cast<char*>(stack);
    all_.back()->stack_bytes = kStackBytes;
    rewind(all_.size() - 1);
    return all_.back().get();
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

void FiberPool::abandon_all() {
  idle_.clear();
  for (std::size_t i = 0; i < all_.size(); ++i) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(all_[i]->stack_begin + kGuardBytes, kStackBytes - kGuardBytes);
    all_[i]->sanitizer_state = nullptr;
#endif
    rewind(i);
    idle_.push_back(all_[i].get());
  }
}

// Puts onto the stack what the switch pops: six registers and the address of the entry function.
void FiberPool::rewind(std::size_t index) {
  constexpr std::size_t kStaggerBytes =
      832;  // stacks of equal layout would fight for the same cache sets
  constexpr std::size_t kStaggerRange = 8192;
  Fiber& fiber = *all_[index];
  auto top = reinterpret_cast<std::uintptr_t>(fiber.stack_begin) + fiber.stack_bytes - 64;
  top = (top - index * kStaggerBytes % kStaggerRange) & ~std::uintptr_t{15};
  auto** slot = reinterpret_cast<void**>(top);
  *--slot = nullptr;  // the return address that the entry function would see
  *--slot = reinterpret_cast<void*>(entry_);
  slot -= kSavedRegisters;
  std::memset(slot, 0, kSavedRegisters * sizeof(void*));
  fiber.stack_pointer = slot;
}

}  // namespace rowlane::simt::emulated
