#include "topic_texts.h"

#include <torch/types.h>

namespace rowlane::examples {

std::vector<TextBatch> draw_texts(const TextShape& shape, int num_batches) {
  const std::int64_t num_texts = shape.num_texts, num_words = shape.num_words;
  // The ranks of the stems are random, so that frequent rows don't lie side by side.
  const at::Tensor weights =
      torch::randperm(shape.vocabulary / kNumTopics, at::kDouble).add(1).reciprocal();
  std::vector<TextBatch> batches;
  for (int i = 0; i < num_batches; ++i) {
    const at::Tensor stems = at::multinomial(weights, num_texts * num_words, /*replacement=*/true)
                                 .view({num_texts, num_words});
    const at::Tensor topics = torch::randint(kNumTopics, {num_texts}, at::kLong);
    const at::Tensor any = torch::randint(kNumTopics, {num_texts, num_words}, at::kLong);
    const at::Tensor is_telling = torch::rand({num_texts, num_words}) < 0.5;
    batches.push_back(
        {stems * kNumTopics + at::where(is_telling, topics.unsqueeze(1), any), topics});
  }
  return batches;
}

}  // namespace rowlane::examples
