// Sequences of words for language models.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "corpus.h"

namespace rowlane::examples {

// Sequences begin with a line of the text and go on into the next ones. The last fiftieth of the
// lines is for validation; between them and those for training are so many that no sequence reaches
// from one part into the other.
class TextSequences {
 public:
  // Throws std::runtime_error when the text is too short.
  TextSequences(const Corpus& corpus, std::int64_t length);

  // Drawn from torch's generator; [size, length + 1].
  at::Tensor train_batch(std::int64_t size) const;
  // The same in every call, spread over the part.
  at::Tensor valid_batch(std::int64_t size) const;

 private:
  at::Tensor sequences(const at::Tensor& lines) const;

  std::int64_t length_;
  at::Tensor tokens_;
  at::Tensor begins_;  // of lines
  std::int64_t num_train_;
  std::int64_t num_valid_;
};

}  // namespace rowlane::examples
