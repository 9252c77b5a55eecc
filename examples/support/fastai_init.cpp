#include "fastai_init.h"

#include <torch/types.h>

namespace rowlane::examples {

at::Tensor fastai_table(std::int64_t num_rows, std::int64_t dim) {
  return torch::empty({num_rows, dim}).normal_().fmod_(2).mul_(0.01);
}

nn::Embedding fastai_embedding(std::int64_t num_rows, std::int64_t dim) {
  return nn::Embedding::from_pretrained(fastai_table(num_rows, dim),
                                        nn::EmbeddingFromPretrainedOptions().freeze(false));
}

}  // namespace rowlane::examples
