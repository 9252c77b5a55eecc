#include "one_cycle.h"

#include <cmath>
#include <numbers>

namespace rowlane::examples {
namespace {

// From `start` (progress 0) to `end` (progress 1) along half a cosine.
double anneal(double start, double end, double progress) {
  return end + (start - end) * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

}  // namespace

OneCyclePoint one_cycle(double progress, double max_learning_rate) {
  constexpr double kWarmUp = 0.25;
  if (progress < kWarmUp) {
    const double part = progress / kWarmUp;
    return {anneal(max_learning_rate / 25, max_learning_rate, part), anneal(0.95, 0.85, part)};
  }
  const double part = (progress - kWarmUp) / (1 - kWarmUp);
  return {anneal(max_learning_rate, max_learning_rate / 1e5, part), anneal(0.85, 0.95, part)};
}

}  // namespace rowlane::examples
