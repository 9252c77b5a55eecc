#include "harness/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <iostream>
#include <utility>

namespace rowlane::bench {
namespace {

// A longer line would wrap, and could not be erased.
std::size_t terminal_width() {
  constexpr std::size_t kFallback = 80;
  winsize size{};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kFallback;
}

}  // namespace

Progress::Progress(std::string program)
    : program_(std::move(program)), is_terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::begin_workload(const std::string& title) {
  title_ = title;
  if (!is_terminal_) {
    std::cerr << program_ << ": " << title << std::endl;
  }
}

void Progress::step(const std::string& text) {
  if (is_terminal_) {
    std::cerr << "\r\033[K" << (title_ + ": " + text).substr(0, terminal_width() - 1) << std::flush;
  }
}

void Progress::clear() {
  if (is_terminal_) {
    std::cerr << "\r\033[K" << std::flush;
  }
}

}  // namespace rowlane::bench
