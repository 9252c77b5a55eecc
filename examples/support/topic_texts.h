// Texts that aren't real but can be learned: words of a large vocabulary, which tell a topic.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rowlane::examples {

inline constexpr std::int64_t kNumTopics = 10;

struct TextBatch {
  at::Tensor words;   // [num_texts, num_words], int64: rows of the table
  at::Tensor topics;  // [num_texts], int64, below kNumTopics
};

struct TextShape {
  std::int64_t vocabulary;  // at least kNumTopics
  std::int64_t num_texts;   // in a batch
  std::int64_t num_words;   // in a text
};

// Draws batches, all but the stems from torch's generator. Word 10 k + t is the form of stem k for
// topic t; stems follow Zipf's law, and half of the words of a text have its topic's form.
std::vector<TextBatch> draw_texts(const TextShape& shape, int num_batches);

}  // namespace rowlane::examples
