// What control groups allow, from files like the system's.
#include "csrc/cpu/memory_limit.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>

namespace rowlane::cpu {
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

struct Case {
  const char* name;
  std::map<std::string, std::string> files;  // path -> content
  std::uint64_t limit;
};

const Case kCases[] = {
    {"NoFiles", {}, kNone},
    {"Version2",
     {{"proc/self/cgroup", "0::/user/job\n"}, {"sys/fs/cgroup/user/job/memory.max", "3000000\n"}},
     3000000},
    {"Version2WithoutALimit",
     {{"proc/self/cgroup", "0::/user/job\n"},
      {"sys/fs/cgroup/user/memory.max", "max\n"},
      {"sys/fs/cgroup/user/job/memory.max", "max\n"}},
     kNone},
    {"ParentAllowsLess",
     {{"proc/self/cgroup", "0::/user/job\n"},
      {"sys/fs/cgroup/user/memory.max", "2000000\n"},
      {"sys/fs/cgroup/user/job/memory.max", "3000000\n"}},
     2000000},
    {"ParentAllowsMore",
     {{"proc/self/cgroup", "0::/user/job\n"},
      {"sys/fs/cgroup/user/memory.max", "4000000\n"},
      {"sys/fs/cgroup/user/job/memory.max", "3000000\n"}},
     3000000},
    // A container's own namespace of control groups: its group is the root that it sees.
    {"GroupIsTheRoot",
     {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "5000000\n"}},
     5000000},
    // A container that sees its own group as the root, but reads the machine's name of it.
    {"GroupIsNotMounted",
     {{"proc/self/cgroup", "0::/docker/0123\n"}, {"sys/fs/cgroup/memory.max", "5000000\n"}},
     5000000},
    {"GroupIsOutsideOfTheRoot",
     {{"proc/self/cgroup", "0::/../../other\n"}, {"sys/fs/cgroup/memory.max", "5000000\n"}},
     5000000},
    {"Version1",
     {{"proc/self/cgroup", "5:cpu,cpuacct:/job\n4:hugetlb,memory:/job/part\n0::/job\n"},
      {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
      {"sys/fs/cgroup/memory/job/memory.limit_in_bytes", "6000000\n"},
      {"sys/fs/cgroup/memory/job/part/memory.limit_in_bytes", "9223372036854771712\n"}},
     6000000},
    {"Version1InAContainer",
     {{"proc/self/cgroup", "4:memory:/docker/0123\n"},
      {"sys/fs/cgroup/memory/memory.limit_in_bytes", "7000000\n"}},
     7000000},
    {"OtherControllersDoNotCount",
     {{"proc/self/cgroup", "4:memory_other:/job\n"},
      {"sys/fs/cgroup/memory/job/memory.limit_in_bytes", "6000000\n"}},
     kNone},
    {"FilesWithoutANumber",
     {{"proc/self/cgroup", "nonsense\n0::/job\n"}, {"sys/fs/cgroup/job/memory.max", "\n"}},
     kNone},
};

class MemoryLimit : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "rowlane-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  // Deepest first: torch's library has a remove_all() of its own that crashes.
  void TearDown() override {
    std::map<std::filesystem::path, int, std::greater<>> paths{{root_, 0}};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      paths[entry.path()];
    }
    for (const auto& [path, ignored] : paths) {
      std::filesystem::remove(path);
    }
  }

  std::filesystem::path root_;
};

TEST_P(MemoryLimit, IsTheLeastOfTheGroupAndThoseAround) {
  for (const auto& [path, content] : GetParam().files) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }
  EXPECT_EQ(control_group_memory_limit(root_), GetParam().limit);
}

INSTANTIATE_TEST_SUITE_P(Files, MemoryLimit, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rowlane::cpu
