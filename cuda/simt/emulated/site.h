// A place in a kernel's source. Every accessor of device.h takes one as a defaulted last argument.
#pragma once

#include <bit>
#include <cstdint>
#include <source_location>
#include <string>

namespace rowlane::simt::emulated {

// libstdc++ represents a source_location by one pointer to static data, so that pointer identifies
// the call site and serves as the program counter of the instruction.
using Site = std::source_location;
static_assert(sizeof(Site) == sizeof(std::uintptr_t));

inline std::uintptr_t program_counter(const Site& site) {
  return std::bit_cast<std::uintptr_t>(site);
}

// "file.cuh:42", without folders.
inline std::string to_string(const Site& site) {
  const std::string path = site.file_name();
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(site.line());
}

}  // namespace rowlane::simt::emulated
