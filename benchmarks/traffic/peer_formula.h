// What the backward of two other GPU libraries would move, by formula: nothing of them is executed.
//
// The algorithms are those of NVIDIA's cuEmbed (commit 90dd843) and of Liger-Kernel's Triton
// embedding (commit ead96b6), read in their source. Where the source leaves something open, the
// formulas decide in the peer's favour: a row that is added to costs its bytes once, whatever the
// cache has lost of it, and an atomic addition in 16 bits costs no more than one in 32.
#pragma once

#include <optional>
#include <vector>

#include "traffic/traffic.h"

namespace rowlane::bench {

// Positions sorted by row, zeros, and a kernel whose blocks sum pieces of the sorted list: they
// store the runs that lie inside a piece, and add those at its ends atomically. Nothing for rows
// that it does not take: bfloat16 and double, bytes that are not a multiple of 4, more than 16 KiB.
// Sums of float16 are made in float16.
std::optional<Traffic> cuembed_backward(const TrafficProblem& problem);

// Zeros, and an atomic addition for every element of every gradient row, in the type of the
// gradient.
Traffic liger_backward(const TrafficProblem& problem);

struct Peer {
  const char* name;
  const char* key;  // in the JSON
  const char* algorithm;
  std::optional<Traffic> (*backward)(const TrafficProblem& problem);
};

const std::vector<Peer>& backward_peers();

}  // namespace rowlane::bench
