#include "csrc/optim/step_history.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace rowlane::optim::detail {
namespace {

bool differ_in_step_alone(ops::StepNumbers a, const ops::StepNumbers& b) {
  a.step = b.step;
  return a == b;
}

}  // namespace

void StepHistory::record(const ops::StepNumbers& numbers) {
  if (last_.has_value() && differ_in_step_alone(*last_, numbers)) {
    return;
  }
  constexpr auto kNumbers = static_cast<std::int64_t>(ops::kNumStepNumbers);
  const std::int64_t capacity = buffer_.defined() ? buffer_.size(0) : 0;
  if (num_lines_ == capacity) {
    const at::Tensor larger =
        at::empty({std::max<std::int64_t>(2 * capacity, 4), kNumbers}, at::kDouble);
    if (num_lines_ > 0) {
      larger.narrow(0, 0, num_lines_).copy_(buffer_);
    }
    buffer_ = larger;
  }
  const std::vector<double> line = ops::to_list(numbers);
  std::copy(line.begin(), line.end(), buffer_.mutable_data_ptr<double>() + num_lines_ * kNumbers);
  ++num_lines_;
  last_ = numbers;
}

void StepHistory::clear() {
  last_.reset();
  num_lines_ = 0;
}

at::Tensor StepHistory::lines() const { return buffer_.narrow(0, 0, num_lines_); }

}  // namespace rowlane::optim::detail
