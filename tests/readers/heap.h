// How much memory a reader takes: operator new counts what is held.
#pragma once

#include <cstddef>

namespace rowlane::testing {

// The most bytes held at a time since the last call of start_counting(), beyond those held then.
void start_counting();
std::size_t peak_bytes();

}  // namespace rowlane::testing
