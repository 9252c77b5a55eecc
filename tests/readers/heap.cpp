#include "heap.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

std::size_t held = 0, held_at_start = 0, peak = 0;

}  // namespace

// The sanitizer watches malloc() and free(); those of aligned types stay as they are.
void* operator new(std::size_t size) {
  void* const memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  held += malloc_usable_size(memory);
  peak = std::max(peak, held);
  return memory;
}

void operator delete(void* memory) noexcept {
  held -= memory == nullptr ? 0 : malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace rowlane::testing {

void start_counting() { held_at_start = peak = held; }
std::size_t peak_bytes() { return peak - held_at_start; }

}  // namespace rowlane::testing
