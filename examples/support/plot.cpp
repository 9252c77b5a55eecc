#include "plot.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <stdexcept>

namespace rowlane::examples {
namespace {

// Runs a program, found on PATH, without a shell; returns whether it exited with 0.
bool run_program(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  std::transform(arguments.begin(), arguments.end(), std::back_inserter(argv),
                 [](const std::string& text) { return const_cast<char*>(text.c_str()); });
  argv.push_back(nullptr);
  std::fflush(nullptr);
  pid_t pid = 0;
  if (posix_spawnp(&pid, argv.front(), nullptr, nullptr, argv.data(), environ) != 0) {
    return false;
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void draw_plot(const std::filesystem::path& csv_path, const std::filesystem::path& png_path,
               const PlotOptions& options) {
  std::vector<std::string> arguments = {ROWLANE_EXAMPLE_PYTHON, ROWLANE_EXAMPLE_PLOT_SCRIPT,
                                        csv_path.string(), png_path.string()};
  const auto add = [&arguments](const char* flag, const std::string& value) {
    if (!value.empty()) {
      arguments.insert(arguments.end(), {flag, value});
    }
  };
  const auto add_switch = [&arguments](const char* flag, bool is_on) {
    if (is_on) {
      arguments.emplace_back(flag);
    }
  };
  add("--title", options.title);
  add("--x", options.x);
  for (const std::string& column : options.y) {
    add("--y", column);
  }
  for (const std::string& column : options.by) {
    add("--by", column);
  }
  add("--y-label", options.y_label);
  add("--labels", options.label_column);
  add_switch("--log-x", options.has_log_x);
  add_switch("--log-y", options.has_log_y);
  add_switch("--points", options.has_points);
  if (!run_program(arguments)) {
    throw std::runtime_error("cannot draw " + png_path.string() +
                             ": " ROWLANE_EXAMPLE_PYTHON " " ROWLANE_EXAMPLE_PLOT_SCRIPT " failed");
  }
}

}  // namespace rowlane::examples
