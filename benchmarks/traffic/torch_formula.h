// What torch's own CUDA kernels would move, by formula: nothing of torch is executed.
//
// The algorithms are those of ATen's index_select and embedding_dense_backward (torch 2.11), read
// in their source; bytes and launches follow from the problem and its indices, and the time from
// the same roofline that the emulated device uses for Rowlane's kernels.
#pragma once

#include "traffic/traffic.h"

namespace rowlane::bench {

// One launch: 16-byte accesses and one block per row where rows are whole multiples of 16 bytes,
// one thread per element elsewhere.
Traffic torch_forward(const TrafficProblem& problem);

struct TorchBackward {
  Traffic traffic;
  // "in one kernel": up to 3072 indices; "sorted": sort, partial sums of 10 rows, sums of partial
  // sums; "sorted, then atomic": partial sums added atomically, for few and large segments.
  const char* algorithm;
};

TorchBackward torch_backward(const TrafficProblem& problem);

}  // namespace rowlane::bench
