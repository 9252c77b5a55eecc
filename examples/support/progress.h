// A progress bar on the terminal.
#pragma once

#include <cstdint>
#include <optional>
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

  // `step` steps are done; the loss, if there is one, is shown behind the bar.
  void update(std::int64_t step, std::optional<double> loss = std::nullopt);

 private:
  std::string label_;
  std::int64_t num_steps_;
  std::int64_t percent_ = -1;  // what is on the screen
  bool is_visible_;
};

}  // namespace rowlane::examples
