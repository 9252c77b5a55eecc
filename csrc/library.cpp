// Every op of Rowlane. Each has kernels in csrc/cpu, csrc/device (CUDA) and csrc/meta, and its
// derivative in csrc/autograd.
#include <torch/library.h>

TORCH_LIBRARY(rowlane, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};

  // weight [V, D], indices [*] -> [*, D]
  m.def(
      "embedding(Tensor weight, Tensor indices, SymInt? padding_idx=None, str algorithm='auto')"
      " -> Tensor",
      tags);

  // grad_output [*, D], indices [*] -> [V, D]
  m.def(
      "embedding_backward(Tensor grad_output, Tensor indices, SymInt num_embeddings,"
      " SymInt? padding_idx=None, str algorithm='auto') -> Tensor",
      tags);
}
