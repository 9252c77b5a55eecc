#include "csrc/cpu/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace rowlane::cpu {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

// The least limit of `group`, a path below `mount`, and of the groups around it. A container may
// see its own group at `mount`, and not the path to it.
std::uint64_t least_limit(const fs::path& mount, const fs::path& group, const char* file_name) {
  std::uint64_t least = kNone;
  fs::path folder = mount;
  const auto look = [&] {
    std::uint64_t limit = 0;
    if (std::ifstream(folder / file_name) >> limit) {
      least = std::min(least, limit);
    }
  };
  look();
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    look();
  }
  return least;
}

}  // namespace

std::uint64_t control_group_memory_limit(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  std::uint64_t least = kNone;
  // hierarchy:controllers:path, of version 2 without controllers.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) {
      continue;
    }
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") {
      least = std::min(least, least_limit(mount, group, "memory.max"));
    } else if (controllers.find(",memory,") != controllers.npos) {
      least = std::min(least, least_limit(mount / "memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace rowlane::cpu
