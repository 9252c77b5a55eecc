#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

namespace rowlane::examples {

ProgressBar::ProgressBar(std::string label, std::int64_t num_steps)
    : label_(std::move(label)),
      num_steps_(std::max<std::int64_t>(num_steps, 1)),
      is_visible_(isatty(STDERR_FILENO) != 0) {
  update(0);
}

ProgressBar::~ProgressBar() {
  if (is_visible_) {
    std::cerr << "\r\033[K" << std::flush;
  }
}

void ProgressBar::update(std::int64_t step, std::optional<double> loss) {
  constexpr std::int64_t kWidth = 40;
  const std::int64_t percent = 100 * step / num_steps_;
  if (!is_visible_ || percent == percent_) {
    return;
  }
  percent_ = percent;
  const auto num_filled = static_cast<std::size_t>(kWidth * percent / 100);
  std::cerr << '\r' << label_ << " [" << std::string(num_filled, '#')
            << std::string(kWidth - num_filled, ' ') << "] " << percent << '%';
  if (loss) {
    std::cerr << "  loss " << *loss << "   ";  // blanks over what is left of a longer number
  }
  std::cerr << std::flush;
}

}  // namespace rowlane::examples
