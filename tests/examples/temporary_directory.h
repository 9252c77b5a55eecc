// A folder for the files of one test.
#pragma once

#include <unistd.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace rowlane::testing {

// Empty, and deleted with all that is in it when the test is over.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "rowlane-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  // File by file: torch's library has a remove_all() of its own, from another libstdc++, that
  // crashes.
  ~TemporaryDirectory() {
    std::error_code ignored;
    for (const std::filesystem::path& file : files_) {
      std::filesystem::remove(file, ignored);
    }
    std::filesystem::remove(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path file(const char* name) const {
    files_.push_back(path_ / name);
    return files_.back();
  }

  std::filesystem::path write(const char* name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return file(name);
  }

 private:
  std::filesystem::path path_;
  mutable std::vector<std::filesystem::path> files_;
};

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What the exception says that body() throws; empty when it throws none.
template <typename Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace rowlane::testing
