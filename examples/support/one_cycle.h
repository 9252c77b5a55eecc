// The one-cycle schedule with cosine annealing, as fastai's fit_one_cycle sets it.
#pragma once

namespace rowlane::examples {

struct OneCyclePoint {
  double learning_rate;
  double beta1;
};

// The setting at `progress` of a training, from 0 (first step) towards 1. The learning rate rises
// from max / 25 to max over the first quarter and falls to max / 10^5; beta1 mirrors it, from 0.95
// to 0.85 and back. Source: L. N. Smith, "A disciplined approach to neural network
// hyper-parameters", with fastai's constants.
OneCyclePoint one_cycle(double progress, double max_learning_rate);

}  // namespace rowlane::examples
