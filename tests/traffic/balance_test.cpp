// The backward's work is spread evenly, whatever the skew of the indices, and no warp waits long.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>

#include "cuda/policy.h"
#include "cuda/simt/emulated/options.h"
#include "cuda/simt/emulated/time_model.h"
#include "traffic/traffic.h"
#include "workloads/index_law.h"

namespace rowlane::kernels {
namespace {

using bench::hot_row;
using bench::IndexSource;
using bench::kUniform;
using bench::Traffic;
using bench::zipf;
using simt::emulated::LaunchCounts;

struct Shape {
  const char* name;
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t num_indices;
};

constexpr IndexSource kLaws[] = {kUniform,     zipf(1.0),    zipf(1.15),
                                 hot_row(0.5), hot_row(0.9), hot_row(1.0)};

Traffic measure(const Shape& shape, const IndexSource& law, BackwardRequest request) {
  const bench::TrafficProblem problem{
      .num_rows = shape.num_rows,
      .dim = shape.dim,
      .indices = bench::draw_indices(law, shape.num_rows, shape.num_indices)};
  simt::emulated::ScopedOptions options;
  options->host_threads = 2;
  return bench::TrafficMeter(problem).backward(request);
}

// The most that a block asks for, over the mean.
double balance(const LaunchCounts& launch) {
  return static_cast<double>(launch.max_block_requests) / launch.mean_block_requests();
}

class Skew : public testing::TestWithParam<Shape> {};

TEST_P(Skew, LeavesTheSortedBackwardBalanced) {
  double uniform_us = 0;
  for (const IndexSource& law : kLaws) {
    SCOPED_TRACE(law.label());
    const Traffic traffic = measure(GetParam(), law, BackwardRequest::kSorted);
    const LaunchCounts main = traffic.counts.kernel("segment_reduce_kernel");
    const LaunchCounts combine = traffic.counts.kernel("segment_combine_kernel");
    // Where workers share a warp and do different things, their requests add up.
    const bool has_a_warp_per_worker = GetParam().dim > 64 && GetParam().num_rows > 100;
    EXPECT_LE(balance(main), has_a_warp_per_worker ? 1.5 : 1.75);
    EXPECT_LE(main.longest_load_chain, 16);
    EXPECT_LE(combine.max_warp_requests, 64);
    uniform_us = uniform_us == 0 ? traffic.modelled_us : uniform_us;
    EXPECT_LE(traffic.modelled_us, 1.2 * uniform_us);
    if (GetParam().num_indices * GetParam().dim >= std::int64_t{1} << 17) {
      EXPECT_GE(main.blocks, 2 * traffic.counts.device->info.num_sms);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Skew,
                         testing::Values(Shape{"wide", 20000, 300, 8000},
                                         Shape{"manyIndices", 3000, 64, 25000},
                                         Shape{"fewRows", 100, 128, 10000},
                                         Shape{"narrow", 20000, 3, 45000},
                                         Shape{"dimOne", 5000, 1, 40000}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SmallBackward, IsBalancedWhereItIsChosen) {
  for (const Shape& shape : {Shape{"", 50000, 768, 512}, Shape{"", 2000, 64, kSmallMaxIndices},
                             Shape{"", 944, 50, 64}, Shape{"", 944, 1, 64}}) {
    for (const IndexSource& law : kLaws) {
      SCOPED_TRACE(testing::Message() << shape.num_rows << " rows, dim " << shape.dim << ", "
                                      << shape.num_indices << " " << law.label());
      const Traffic small = measure(shape, law, BackwardRequest::kAuto);
      EXPECT_EQ(small.launches, 1);
      EXPECT_LE(balance(small.counts.kernel("small_backward_kernel")), 3);
      EXPECT_LE(small.times_floor(), 1.02);
    }
  }
}

// What auto takes is within a tenth of the best deterministic algorithm by the model.
TEST(AutoBackward, IsAboutTheFastestDeterministicOne) {
  for (const std::int64_t num_indices : {16, 256, 2048}) {
    for (const auto& [num_rows, dim] :
         {std::pair<std::int64_t, std::int64_t>{944, 50}, {944, 1}, {30522, 256}, {60000, 64}}) {
      const Shape shape{"", num_rows, dim, num_indices};
      const double chosen = measure(shape, kUniform, BackwardRequest::kAuto).modelled_us;
      const double sorted = measure(shape, kUniform, BackwardRequest::kSorted).modelled_us;
      const double small = measure(shape, kUniform, BackwardRequest::kSmall).modelled_us;
      EXPECT_LE(chosen, 1.1 * std::min(sorted, small))
          << num_rows << " rows, dim " << dim << ", " << num_indices << " indices: sorted "
          << sorted << " us, small " << small << " us";
    }
  }
}

}  // namespace
}  // namespace rowlane::kernels
