#include "topic_texts.h"

#include <torch/types.h>

#include "benchmarks/workloads/index_law.h"

namespace rowlane::examples {

std::vector<TextBatch> draw_texts(const TextShape& shape, int num_batches) {
  const std::int64_t num_texts = shape.num_texts, num_words = shape.num_words;
  const std::int64_t num_stems = num_batches * num_texts * num_words;
  const at::Tensor all_stems =
      torch::tensor(bench::draw_indices(bench::zipf(1.0), shape.vocabulary / kNumTopics, num_stems),
                    at::kLong)
          .view({num_batches, num_texts, num_words});
  std::vector<TextBatch> batches;
  for (int i = 0; i < num_batches; ++i) {
    const at::Tensor stems = all_stems.select(0, i);
    const at::Tensor topics = torch::randint(kNumTopics, {num_texts}, at::kLong);
    const at::Tensor any = torch::randint(kNumTopics, {num_texts, num_words}, at::kLong);
    const at::Tensor is_telling = torch::rand({num_texts, num_words}) < 0.5;
    batches.push_back(
        {stems * kNumTopics + at::where(is_telling, topics.unsqueeze(1), any), topics});
  }
  return batches;
}

}  // namespace rowlane::examples
