// The fewest bytes that a look-up and its backward can move between DRAM and the L2.
#pragma once

#include <cstdint>

#include "cuda/simt/emulated/l2_model.h"
#include "traffic/traffic.h"

namespace rowlane::bench {

// The L2 of the emulated device that the options name, scaled as they say, and empty.
simt::emulated::L2Model make_l2();

// The ideal trace through the same L2: every look-up, in order, reads its index and its row's
// sectors, and every sector of the output is written once. Where repeats outlive the cache no
// gather can do better than read them again.
simt::emulated::L2Traffic ideal_gather(const TrafficProblem& problem);

// Each distinct row read once, however small the cache: U rows, N output rows and N indices.
std::int64_t distinct_gather_bytes(const TrafficProblem& problem);

// N gradient rows and N indices read, every row of the table's gradient written.
std::int64_t backward_floor_bytes(const TrafficProblem& problem);

// N gradient rows and N indices read, the sum and the number of each row that has an index written.
std::int64_t row_gradient_floor_bytes(const TrafficProblem& problem);

// N gradient rows and N indices read, and of each row that has an index row_bytes read and written:
// its weights, and what the optimizer keeps for them.
std::int64_t step_floor_bytes(const TrafficProblem& problem, std::int64_t row_bytes);

// A radix sort of (row, position) pairs of 32 bits each, with 8 bits per pass over the bits that a
// row number needs: N * 4 for the histogram, and N * 16 for each pass. A list that one block sorts
// is read and written once.
std::int64_t sort_floor_bytes(const TrafficProblem& problem);

// How often rows are looked up.
struct RowUse {
  std::int64_t num_distinct = 0;
  std::int64_t most_look_ups = 0;  // of one row
};

RowUse count_row_use(const TrafficProblem& problem);

}  // namespace rowlane::bench
