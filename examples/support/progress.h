// A progress bar on the terminal.
#pragma once

#include <cstdint>
#include <string>

namespace rowlane::examples {

// Draws itself on standard error when that is a terminal, and is silent otherwise. Erased by its
// destructor.
class ProgressBar {
 public:
  ProgressBar(std::string label, std::int64_t num_steps);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `step` steps are done.
  void update(std::int64_t step);

 private:
  std::string label_;
  std::int64_t num_steps_;
  std::int64_t percent_ = -1;  // what is on the screen
  bool is_visible_;
};

}  // namespace rowlane::examples
