#include "workloads/workload.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace rowlane::bench {
namespace {

constexpr auto kFloat = c10::ScalarType::Float;
constexpr auto kDouble = c10::ScalarType::Double;
constexpr auto kHalf = c10::ScalarType::Half;
constexpr auto kBFloat16 = c10::ScalarType::BFloat16;
constexpr auto kInt = c10::ScalarType::Int;
constexpr auto kLong = c10::ScalarType::Long;

using Shape = std::vector<std::int64_t>;

// Every combination, the last list varying fastest.
std::vector<Problem> product(const Shape& rows, const Shape& dims, const std::vector<Shape>& shapes,
                             const std::vector<c10::ScalarType>& dtypes,
                             const std::vector<IndexSource>& sources,
                             c10::ScalarType index_dtype = kLong) {
  std::vector<Problem> problems;
  for (const std::int64_t num_rows : rows) {
    for (const std::int64_t dim : dims) {
      for (const Shape& shape : shapes) {
        for (const c10::ScalarType dtype : dtypes) {
          for (const IndexSource& source : sources) {
            problems.push_back({num_rows, dim, shape, dtype, index_dtype, source});
          }
        }
      }
    }
  }
  return problems;
}

std::vector<Problem> concat(std::vector<Problem> first, const std::vector<Problem>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<Problem> at_scale(std::vector<Problem> problems, double scale) {
  for (Problem& problem : problems) {
    problem.scale = scale;
  }
  return problems;
}

// Row 0 of the tables belongs to no user and no item.
std::vector<Problem> fastbook_problems() {
  return concat(product({944}, {50, 1}, {{64}}, {kFloat}, {{IndexLaw::kRatingUsers, 0.0}}),
                product({1683}, {50, 1}, {{64}}, {kFloat}, {{IndexLaw::kRatingItems, 0.0}}));
}

std::vector<Problem> small_vocab_problems() {
  const std::vector<IndexSource> sources = {kUniform, hot_row(0.9)};
  return concat(product({100, 1000}, {100}, {{10000}}, {kFloat, kBFloat16}, sources),
                product({4096}, {128}, {{10000}}, {kFloat}, sources));
}

std::vector<Workload> default_workloads() {
  return {
      {.name = "fastbook",
       .description = "DotProductBias of the fastai book, batches of real MovieLens ratings",
       .problems = fastbook_problems(),
       .in_default_set = true},
      {.name = "vocab-300",
       .description = "word vectors where one-hot would need 100,000 columns; time and peak memory",
       .problems = product({100000}, {300}, {{4096}, {64, 128}}, {kFloat}, {kUniform, zipf(1.0)}),
       .in_default_set = true,
       .compares_memory = true,
       .one_hot_limit_s = 15.0},
      {.name = "bert",
       .description = "token table of BERT base, 32 sequences of 128",
       .problems = product({30522}, {768}, {{32, 128}}, {kFloat, kBFloat16}, {kUniform, zipf(1.0)}),
       .in_default_set = true},
      {.name = "gpt2-llmc",
       .description = "token table of GPT-2, 8 sequences of 1024, as in llm.c",
       .problems = product({50257}, {768}, {{8, 1024}}, {kFloat, kBFloat16}, {kUniform, zipf(1.0)}),
       .in_default_set = true},
      {.name = "small-vocab",
       .description = "few rows, many indices: where the one-hot product is at its best",
       .problems = small_vocab_problems(),
       .in_default_set = true},
      {.name = "odd-D",
       .description = "row lengths from 1 to 1000 that are no power of two",
       .problems = concat(product({100000}, {1, 3, 50, 130, 1000}, {{65536}}, {kFloat}, {kUniform}),
                          product({100000}, {3, 50, 130}, {{65536}}, {kBFloat16}, {kUniform})),
       .in_default_set = true},
  };
}

std::vector<Workload> further_workloads() {
  return {
      {.name = "small-vocab-1m",
       .description = "small-vocab with a million indices",
       .problems = product({100, 1000, 4096}, {128}, {{1000000}}, {kFloat, kBFloat16},
                           {kUniform, hot_row(0.9)})},
      {.name = "odd-D-types",
       .description = "odd-D in half and double",
       .problems =
           product({100000}, {1, 3, 50, 130, 1000}, {{65536}}, {kHalf, kDouble}, {kUniform})},
      {.name = "liger-bert",
       .description = "Liger's table sizes at BERT's row length",
       .problems = product({1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072}, {768}, {{16384}},
                           {kFloat}, {kUniform})},
      {.name = "liger-llama",
       .description = "Liger's table sizes at Llama's row length",
       .problems = product({1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072}, {4096}, {{16384}},
                           {kFloat}, {kUniform})},
      {.name = "llama3-8b",
       .description = "token table of Llama 3",
       .problems =
           product({128256}, {4096, 8192, 16384}, {{8192}}, {kBFloat16}, {kUniform, zipf(1.0)})},
      {.name = "decode",
       .description = "generation with Llama 3's table: few indices per call",
       .problems = product({128256}, {4096}, {{1}, {8}, {64}, {512}, {3072}, {3073}}, {kBFloat16},
                           {kUniform}),
       .forward_only = true},
      {.name = "cuembed-A",
       .description = "cuEmbed's sweep, one hot index per sample",
       .problems = product({1000000}, {128}, {{32768}}, {kFloat},
                           {kUniform, zipf(1.05), zipf(1.15)}, kInt)},
      {.name = "cuembed-B",
       .description = "cuEmbed's sweep, 16 indices per sample, looked up without pooling",
       .problems = product({10000000}, {128}, {{131072, 16}}, {kFloat},
                           {kUniform, zipf(1.05), zipf(1.15)})},
      {.name = "cuembed-C",
       .description = "cuEmbed's sweep, narrow rows, 64 indices per sample, without pooling",
       .problems = product({10000000}, {32}, {{131072, 64}}, {kFloat}, {kUniform, zipf(1.15)})},
      {.name = "cuembed-readme",
       .description = "the example of cuEmbed's README, without pooling",
       .problems = product({10000000}, {256}, {{65536, 64}}, {kHalf}, {zipf(1.15)})},
      {.name = "fbgemm-default",
       .description = "one of the 32 tables of FBGEMM's default benchmark, without pooling",
       .problems = at_scale(product({100000}, {128}, {{512, 20}}, {kFloat}, {kUniform}), 1.0 / 32)},
      {.name = "fbgemm-ci",
       .description = "FBGEMM's CI benchmark, without pooling",
       .problems = product({10000000}, {256}, {{13107, 55}}, {kHalf}, {zipf(1.15)})},
      {.name = "fbgemm-community",
       .description = "FBGEMM's users' benchmark, without pooling",
       .problems =
           product({10000000}, {192}, {{65536, 32}}, {kHalf, kFloat}, {zipf(1.0), zipf(1.15)})},
      {.name = "bis-uniform",
       .description = "TorchRec's batched index select, uniform",
       .problems = product({102400}, {128}, {{2097152}}, {kHalf}, {kUniform})},
      {.name = "bis-wide",
       .description = "TorchRec's batched index select, wide rows",
       .problems = product({1970000}, {1024}, {{2620000}}, {kHalf}, {kUniform})},
      {.name = "hot-half",
       .description = "half of all indices name one row",
       .problems =
           product({1720000}, {128, 1024}, {{7770000}}, {kFloat, kBFloat16}, {hot_row(0.5)})},
      {.name = "one-row",
       .description = "all indices name one row",
       .problems = product({2000}, {384}, {{713268}}, {kBFloat16}, {hot_row(1.0)})},
      {.name = "gather-5120",
       .description = "wide rows, as many indices as rows",
       .problems = product({4096}, {5120}, {{4096}}, {kBFloat16}, {kUniform})},
      {.name = "mild-scatter",
       .description = "5 to 20 indices per row",
       .problems =
           product({100000}, {128, 256}, {{500000}, {2000000}}, {kBFloat16, kFloat}, {kUniform})},
  };
}

std::vector<Problem> step_problems(const Shape& rows, const Shape& look_ups,
                                   const std::vector<IndexSource>& sources) {
  std::vector<Shape> shapes;
  std::transform(look_ups.begin(), look_ups.end(), std::back_inserter(shapes),
                 [](std::int64_t count) { return Shape{count}; });
  return product(rows, {128}, shapes, {kFloat}, sources);
}

std::vector<Workload> make_workloads() {
  std::vector<Workload> workloads = default_workloads();
  std::vector<Workload> further = further_workloads();
  std::move(further.begin(), further.end(), std::back_inserter(workloads));
  return workloads;
}

std::string join_names(const std::vector<Workload>& workloads) {
  std::string names;
  for (const Workload& workload : workloads) {
    names += (names.empty() ? "" : ", ") + workload.name;
  }
  return names;
}

}  // namespace

std::int64_t Problem::num_indices() const {
  return std::accumulate(index_shape.begin(), index_shape.end(), std::int64_t{1},
                         std::multiplies<>());
}

std::int64_t Problem::elem_bytes() const {
  return static_cast<std::int64_t>(c10::elementSize(dtype));
}

std::int64_t Problem::index_bytes() const {
  return static_cast<std::int64_t>(c10::elementSize(index_dtype));
}

std::int64_t Problem::num_elems() const { return (num_rows + num_indices()) * dim; }

const std::vector<Workload>& all_workloads() {
  static const std::vector<Workload> workloads = make_workloads();
  return workloads;
}

std::vector<Workload> step_workloads(bool is_quick) {
  const std::int64_t rows = is_quick ? 2000 : 1'000'000;
  const std::int64_t look_ups = is_quick ? 500 : 32'768;
  const Shape growing_rows =
      is_quick ? Shape{100, 1000} : Shape{10'000, 100'000, 1'000'000, 10'000'000};
  const Shape growing_look_ups =
      is_quick ? Shape{50, 500} : Shape{1024, 4096, 16'384, 65'536, 131'072};
  return {{.name = "step",
           .description = "a large table, beside torch's optimizers",
           .problems = step_problems({rows}, {look_ups}, {kUniform, zipf(1.0)})},
          {.name = "step-rows",
           .description = "how a fused step grows with the table",
           .problems = step_problems(growing_rows, {look_ups}, {kUniform})},
          {.name = "step-indices",
           .description = "how a fused step grows with the look-up",
           .problems = step_problems({rows}, growing_look_ups, {kUniform})}};
}

std::vector<Workload> select_workloads(std::string_view selection) {
  const std::vector<Workload>& all = all_workloads();
  if (selection == "all") {
    return all;
  }
  std::vector<Workload> selected;
  if (selection == "default") {
    std::copy_if(all.begin(), all.end(), std::back_inserter(selected),
                 [](const Workload& workload) { return workload.in_default_set; });
    return selected;
  }
  std::istringstream names{std::string(selection)};
  for (std::string name; std::getline(names, name, ',');) {
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const Workload& workload) { return workload.name == name; });
    if (found == all.end()) {
      throw std::invalid_argument("There is no workload '" + name +
                                  "'; take default, all, or some of " + join_names(all) + ".");
    }
    selected.push_back(*found);
  }
  if (selected.empty()) {
    throw std::invalid_argument("--workload needs default, all, or some of " + join_names(all) +
                                ".");
  }
  return selected;
}

Problem scaled_to_fit(const Problem& problem, std::int64_t max_elems) {
  Problem scaled = problem;
  if (problem.indices.is_ratings()) {
    return scaled;
  }
  while (scaled.num_elems() > max_elems && scaled.num_rows > 1 && scaled.num_indices() > 1) {
    scaled.num_rows /= 2;
    *std::find_if(scaled.index_shape.begin(), scaled.index_shape.end(),
                  [](std::int64_t size) { return size > 1; }) /= 2;
    scaled.scale /= 2;
  }
  return scaled;
}

}  // namespace rowlane::bench
