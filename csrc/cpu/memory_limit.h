// How much memory the system lets a process use.
#pragma once

#include <cstdint>
#include <filesystem>

namespace rowlane::cpu {

// The least that the control groups of this process and those around them allow, of version 2
// (memory.max) or 1 (memory.limit_in_bytes): a container's limit. The largest number where there is
// none. `root` is the folder that has /proc and /sys.
std::uint64_t control_group_memory_limit(const std::filesystem::path& root = "/");

}  // namespace rowlane::cpu
