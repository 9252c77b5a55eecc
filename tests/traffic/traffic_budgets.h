// The most that the kernels may move, for each workload at test scale: what they moved when the
// budget was set, rounded up by 1 %. A change that moves less lowers its budgets; one that moves
// more says why. The test prints the figures of each row that breaks its budget in the form that
// they have here.
#pragma once

#include <cstdint>
#include <optional>

#include "cuda/types.h"
#include "workloads/index_law.h"

namespace rowlane::kernels {

struct Budget {
  double times_floor;             // DRAM bytes over the floor of benchmarks/traffic/floors.h
  double sector_use;              // at least
  std::int64_t launches;          // with memsets and those of the sort
  std::int64_t atomic_chain = 0;  // additions to one address
};

struct BudgetedWorkload {
  const char* name;  // of the workload in benchmarks/workloads/workload.cpp that this is a part of
  double scale;      // of its rows and indices, and of the L2
  std::int64_t num_rows;
  std::int64_t dim;
  std::int64_t num_indices;
  ElemType elem_type;
  IndexType index_type;
  bench::IndexSource indices;
  Budget forward;
  std::optional<Budget> sorted;
  std::optional<Budget> small;
  std::optional<Budget> atomic;
  std::optional<Budget> rows;
  std::optional<Budget> sgd;
  std::optional<Budget> adam;
};

inline constexpr auto kFloat = ElemType::kFloat32;
inline constexpr auto kBFloat16 = ElemType::kBFloat16;
inline constexpr auto kInt32 = IndexType::kInt32;
inline constexpr auto kInt64 = IndexType::kInt64;
using bench::hot_row;
using bench::kUniform;
using bench::zipf;

// clang-format off
inline constexpr BudgetedWorkload kTrafficBudgets[] = {
    // workload       scale      rows    dim  indices  types              law
    //   forward, {sorted backward}, {small backward}, {atomic backward}, {row gradient},
    //   {fused SGD}, {fused Adam}
    {"fastbook",      1.0,        944,    50,     64, kFloat,    kInt64, kUniform,
     {1.010, 0.935, 1}, {{1.009, 0.649, 3}},
      {{1.010, 0.714, 1}}, {{1.010, 0.842, 2, 3}}, {{0.997, 0.659, 3}},
      {{1.068, 0.688, 2}}, {{1.099, 0.681, 2}}},
    {"vocab-300",     1.0 / 8,  12500,   300,   1024, kFloat,    kInt64, zipf(1.0),
     {1.010, 0.972, 1}, {{1.011, 0.791, 3}},
      {{1.012, 0.876, 1}}, {{1.057, 0.945, 2, 105}}, {{1.007, 0.864, 4}},
      {{1.015, 0.873, 3}}, {{1.019, 0.875, 3}}},
    {"gpt2-llmc",     1.0 / 8,   6282,   768,   1024, kFloat,    kInt64, kUniform,
     {1.010, 0.990, 1}, {{1.010, 0.908, 3}},
      {{1.010, 0.970, 1}}, {{1.203, 0.986, 2, 3}}, {{1.009, 0.975, 4}},
      {{1.009, 0.986, 3}}, {{1.010, 0.988, 3}}},
    {"gpt2-llmc",     1.0 / 8,   6282,   768,   1024, kBFloat16, kInt64, zipf(1.0),
     {1.010, 0.990, 1}, {{1.010, 0.883, 3}},
      {{1.010, 0.970, 1}}, {}, {{1.007, 0.970, 4}},
      {{1.007, 0.978, 3}}, {{1.009, 0.986, 3}}},
    {"small-vocab",   1.0,       1000,   100,  10000, kFloat,    kInt64, kUniform,
     {1.010, 0.970, 1}, {{0.969, 0.474, 4}},
      {}, {{1.010, 0.926, 2, 35}}, {{0.969, 0.515, 5}},
      {{0.972, 0.822, 4}}, {{0.981, 0.828, 4}}},
    {"small-vocab",   1.0,       4096,   128,  10000, kFloat,    kInt64, hot_row(0.9),
     {1.010, 0.990, 1}, {{0.990, 0.812, 6}},
      {}, {{1.010, 0.968, 2, 8995}}, {{0.985, 0.953, 7}},
      {{0.986, 0.964, 6}}, {{0.992, 0.969, 6}}},
    {"odd-D",         1.0 / 8,  12500,     1,   8192, kFloat,    kInt64, kUniform,
     {1.010, 0.363, 1}, {{0.657, 0.411, 6}},
      {}, {{1.010, 0.363, 2, 14}}, {{0.673, 0.427, 7}},
      {{0.772, 0.375, 6}}, {{1.008, 0.325, 6}}},
    {"odd-D",         1.0 / 8,  12500,     3,   8192, kBFloat16, kInt64, kUniform,
     {1.010, 0.396, 1}, {{0.689, 0.406, 6}},
      {}, {}, {{0.695, 0.429, 7}},
      {{0.843, 0.373, 6}}, {{1.214, 0.352, 6}}},
    {"odd-D",         1.0 / 8,  12500,    50,   8192, kFloat,    kInt64, kUniform,
     {1.010, 0.935, 1}, {{0.976, 0.501, 6}},
      {}, {{1.010, 0.842, 2, 8}}, {{0.962, 0.603, 7}},
      {{1.008, 0.634, 6}}, {{1.042, 0.650, 6}}},
    {"odd-D",         1.0 / 8,  12500,   130,   8192, kFloat,    kInt64, kUniform,
     {1.010, 0.926, 1}, {{1.006, 0.567, 6}},
      {}, {{1.057, 0.853, 2, 12}}, {{0.992, 0.667, 7}},
      {{1.012, 0.684, 6}}, {{1.032, 0.692, 6}}},
    {"odd-D",         1.0 / 8,  12500,   130,   8192, kBFloat16, kInt64, kUniform,
     {1.010, 0.855, 1}, {{0.983, 0.413, 6}},
      {}, {}, {{0.972, 0.512, 7}},
      {{1.013, 0.515, 6}}, {{1.038, 0.623, 6}}},
    {"cuembed-A",     1.0 / 16, 62500,   128,   2048, kFloat,    kInt32, zipf(1.15),
     {1.010, 0.986, 1}, {{1.011, 0.923, 3}},
      {{1.010, 0.984, 1}}, {{1.030, 0.964, 2, 311}}, {{1.002, 0.951, 4}},
      {{1.003, 0.980, 3}}, {{1.006, 0.984, 3}}},
    {"cuembed-C",     1.0 / 64, 156250,   32, 131072, kFloat,    kInt64, zipf(1.15),
     {0.955, 0.990, 1}, {{0.994, 0.672, 6}},
      {}, {{1.172, 0.990, 2, 21209}}, {{1.000, 0.640, 7}},
      {{0.987, 0.849, 6}}, {{0.993, 0.870, 6}}},
    {"decode",        1.0 / 16,  8016,  4096,     64, kBFloat16, kInt64, kUniform,
     {1.010, 0.990, 1}, {},
      {}, {}, {},
      {}, {}},
    {"hot-half",      1.0 / 128, 13437,  128,  60703, kFloat,    kInt64, hot_row(0.5),
     {0.998, 0.989, 1}, {{1.026, 0.839, 6}},
      {}, {{1.783, 0.968, 2, 30277}}, {{1.029, 0.895, 7}},
      {{1.022, 0.918, 6}}, {{1.018, 0.940, 6}}},
    {"one-row",       1.0 / 16,    125,  384,  44579, kBFloat16, kInt64, hot_row(1.0),
     {1.010, 0.989, 1}, {{1.011, 0.872, 4}},
      {}, {}, {{1.003, 0.963, 5}},
      {{1.003, 0.972, 4}}, {{1.003, 0.972, 4}}},
};
// clang-format on

}  // namespace rowlane::kernels
