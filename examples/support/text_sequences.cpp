#include "text_sequences.h"

#include <torch/types.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace rowlane::examples {

TextSequences::TextSequences(const Corpus& corpus, std::int64_t length)
    : length_(length), tokens_(torch::tensor(corpus.tokens, torch::kInt).to(torch::kLong)) {
  std::vector<std::int64_t> begins;
  std::int64_t begin = 0;
  for (const std::int64_t end : corpus.line_ends) {
    if (end > begin && begin + length < tokens_.size(0)) {
      begins.push_back(begin);
    }
    begin = end;
  }
  // A line has a token at least.
  const auto num_lines = static_cast<std::int64_t>(begins.size());
  num_valid_ = num_lines / 50;
  num_train_ = num_lines - num_valid_ - length;
  if (num_train_ <= 0 || num_valid_ == 0) {
    throw std::runtime_error("a text of " + std::to_string(num_lines) +
                             " lines is too short for sequences of " + std::to_string(length));
  }
  begins_ = torch::tensor(begins);
}

at::Tensor TextSequences::train_batch(std::int64_t size) const {
  return sequences(torch::randint(num_train_, {size}, torch::kLong));
}

at::Tensor TextSequences::valid_batch(std::int64_t size) const {
  return sequences(
      torch::arange(size).mul(num_valid_).floor_divide(size).add(num_train_ + length_));
}

at::Tensor TextSequences::sequences(const at::Tensor& lines) const {
  return tokens_.index({begins_.index({lines}).unsqueeze(1) + torch::arange(length_ + 1)});
}

}  // namespace rowlane::examples
