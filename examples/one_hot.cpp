// Is an embedding indexed or multiplied?
//
// An embedding is a matrix product with one-hot vectors, in exact arithmetic and here to the last
// bit, output and gradient; and yet nothing is multiplied. This program shows both, what each way
// costs, which rows a gradient reaches, and from how many words on a look-up pays.
#include <torch/types.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/harness/format.h"
#include "benchmarks/harness/memory_probe.h"
#include "benchmarks/harness/timing.h"
#include "support/lookup_ways.h"
#include "support/program.h"

namespace rowlane::examples {
namespace {

using bench::format_bytes;
using bench::format_count;
using bench::format_ms;

struct Options {
  CommonOptions common{.num_epochs = 0, .has_checkpoint = false};
  std::int64_t num_rows = 100'000;
  std::int64_t dim = 300;
  std::int64_t num_indices = 4096;
  double one_hot_gb = 8;
  std::int64_t num_swept = 1024;
  double seconds_per_size = 0.5;
  std::filesystem::path picture_path;
};

// Small whole numbers, whose sums are exact in whatever order.
at::Tensor whole_numbers(std::vector<std::int64_t> sizes) {
  return torch::randint(-8, 9, sizes, at::kFloat);
}

bool has_same_bits(const at::Tensor& a, const at::Tensor& b) {
  return at::equal(a.contiguous().view(at::kInt), b.contiguous().view(at::kInt));
}

// 1. The same numbers?
bool compare_results() {
  constexpr std::int64_t kRows = 1000, kDim = 50, kIndices = 4096;
  std::printf("1. %s indices into %s x %s, whole numbers: the same bits as the look-up's?\n",
              format_count(kIndices).c_str(), format_count(kRows).c_str(),
              format_count(kDim).c_str());
  const at::Tensor indices = torch::randint(kRows, {kIndices}, at::kLong);
  const at::Tensor output_grad = whole_numbers({kIndices, kDim});
  at::Tensor first_output, first_gradient;
  bool is_good = true;
  for (const LookupWay& way : all_lookup_ways(whole_numbers({kRows, kDim}))) {
    const at::Tensor output = way.look_up(indices);
    output.backward(output_grad);
    const at::Tensor gradient = way.gradient();
    if (!first_output.defined()) {
      first_output = output.detach();
      first_gradient = gradient;
    }
    const bool is_same_output = has_same_bits(output.detach(), first_output);
    const bool is_same_gradient = has_same_bits(gradient, first_gradient);
    std::printf("   %-26s output %-3s  gradient %s\n", way.name.c_str(),
                is_same_output ? "yes" : "NO", is_same_gradient ? "yes" : "NO");
    is_good = is_good && is_same_output && is_same_gradient;
  }
  return is_good;
}

// 2. What does each cost? The one-hot ways are estimated from few indices where they would take
// more memory than --one-hot-gb, or than there is.
bool compare_costs(const Options& options) {
  const std::int64_t num_rows = options.num_rows, dim = options.dim;
  const std::int64_t num_indices = options.num_indices;
  std::printf("\n2. %s indices into %s x %s float: forward and backward\n   %-26s %10s %10s %10s\n",
              format_count(num_indices).c_str(), format_count(num_rows).c_str(),
              format_count(dim).c_str(), "", "forward", "backward", "peak");
  // one_hot() makes whole numbers of 64 bits, which are converted to floats.
  const std::int64_t bytes_per_index = num_rows * (8 + 4);
  const auto needed_bytes = static_cast<double>(bytes_per_index * num_indices);
  const auto free_bytes = bench::available_bytes(at::kCPU).value_or(0);
  const bool has_room = needed_bytes <= 1e9 * options.one_hot_gb &&
                        needed_bytes <= 0.8 * static_cast<double>(free_bytes);
  const std::int64_t num_tried = has_room ? num_indices : std::min<std::int64_t>(64, num_indices);
  const double scale = static_cast<double>(num_indices) / static_cast<double>(num_tried);
  const at::Tensor indices = torch::randint(num_rows, {num_indices}, at::kLong);
  const at::Tensor output_grad = whole_numbers({num_indices, dim});
  bool is_good = true;
  const std::vector<LookupWay> ways = all_lookup_ways(torch::randn({num_rows, dim}));
  const auto first_product =
      std::find_if(ways.begin(), ways.end(), [](const LookupWay& way) { return way.has_one_hot; });
  std::vector<LookupTimes> times = time_lookup_ways({ways.begin(), first_product}, indices,
                                                    output_grad, 4 * options.seconds_per_size);
  times.resize(ways.size());  // products take seconds: they are timed once, below
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const LookupWay& way = ways[i];
    const std::int64_t count = way.has_one_hot ? num_tried : num_indices;
    const at::Tensor some = indices.narrow(0, 0, count), grad = output_grad.narrow(0, 0, count);
    LookupTimes once{};
    const std::int64_t peak_bytes = bench::measure_peak_bytes(
        [&] {
          at::Tensor output;
          once.forward_ms = bench::time_once_ms([&] { output = way.look_up(some); }, at::kCPU);
          once.backward_ms = bench::time_once_ms([&] { output.backward(grad); }, at::kCPU);
          way.parameter.mutable_grad().reset();
        },
        at::kCPU);
    const bool is_estimate = count < num_indices;
    if (way.has_one_hot) {
      times[i] = {scale * once.forward_ms, scale * once.backward_ms};
    }
    std::printf("   %-26s %10s %10s %10s%s\n", way.name.c_str(),
                format_ms(times[i].forward_ms).c_str(), format_ms(times[i].backward_ms).c_str(),
                format_bytes(is_estimate ? bytes_per_index * num_indices : peak_bytes).c_str(),
                is_estimate ? ("  estimated from " + format_count(count)).c_str() : "");
    // A look-up holds output rows and gradient; a product at least its one-hot matrix.
    const std::int64_t lookup_bytes = 4 * dim * (num_rows + 2 * num_indices) + 64 * num_indices;
    is_good = is_good && (way.has_one_hot ? peak_bytes >= bytes_per_index * count
                                          : peak_bytes <= lookup_bytes);
  }
  return is_good;
}

// 3. Which rows does the gradient reach? A table of 100 characters, and a sentence.
bool show_touched_rows(const Options& options) {
  constexpr std::int64_t kCharacters = 100;
  const std::string text = "the derivative is a sum of rows, too";
  std::printf("\n3. rows of 100 characters that \"%s\" gives a gradient ('#'):\n", text.c_str());
  std::vector<std::int64_t> characters;
  std::transform(text.begin(), text.end(), std::back_inserter(characters),
                 [](char c) { return c - ' '; });  // the printable ones begin with a blank
  const LookupWay way = all_lookup_ways(torch::randn({kCharacters, 16})).front();
  way.look_up(torch::tensor(characters)).sum().backward();
  const at::Tensor norms = way.gradient().norm(2, 1);
  Record record({"row", "gradient_norm"});
  bool is_good = true;
  for (std::int64_t row = 0; row < kCharacters; ++row) {
    const auto norm = norms[row].item<double>();
    record.add({row, norm});
    const bool is_looked_up =
        std::find(characters.begin(), characters.end(), row) != characters.end();
    is_good = is_good && (norm > 0) == is_looked_up;
    std::printf("%s%c%s", row % 50 == 0 ? "   " : "", norm > 0 ? '#' : '.',
                row % 50 == 49 ? "\n" : "");
  }
  CommonOptions outputs;
  outputs.plot_path = options.picture_path;
  write_outputs(record, {.title = "Gradient of each row", .has_points = true}, outputs);
  return is_good;
}

// 4. From how many words on? The one-hot matrix is made anew for every batch, or given for free.
bool sweep_sizes(const Options& options) {
  constexpr std::int64_t kDim = 64;
  const std::int64_t num_indices = options.num_swept;
  std::printf("\n4. %s indices, rows of %s: milliseconds\n", format_count(num_indices).c_str(),
              format_count(kDim).c_str());
  Record record({"num_rows", "lookup_forward", "linear_forward", "given_forward", "lookup_backward",
                 "linear_backward", "given_backward"});
  record.print_header();
  const at::Tensor output_grad = whole_numbers({num_indices, kDim});
  std::int64_t forward_from = 0, backward_from = 0;  // the look-up is faster from here on
  LookupTimes last_ratio{};
  for (const std::int64_t size : {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10'000}) {
    const at::Tensor indices = torch::randint(size, {num_indices}, at::kLong);
    const std::vector<LookupWay> ways = all_lookup_ways(torch::randn({size, kDim}));
    const LookupWay &lookup = ways.front(), &linear = ways.back();
    const at::Tensor given = one_hot_floats(indices, size);
    const LookupWay with_given{"given", linear.parameter, [&](const at::Tensor& /*indices*/) {
                                 return at::linear(given, linear.parameter);
                               }};
    const std::vector<LookupTimes> times = time_lookup_ways({lookup, linear, with_given}, indices,
                                                            output_grad, options.seconds_per_size);
    record.add({size, times[0].forward_ms, times[1].forward_ms, times[2].forward_ms,
                times[0].backward_ms, times[1].backward_ms, times[2].backward_ms});
    last_ratio = {times[2].forward_ms / times[0].forward_ms,
                  times[2].backward_ms / times[0].backward_ms};
    forward_from = last_ratio.forward_ms <= 1 ? 0 : forward_from == 0 ? size : forward_from;
    backward_from = last_ratio.backward_ms <= 1 ? 0 : backward_from == 0 ? size : backward_from;
  }
  std::printf(
      "   faster than with the one-hot matrix given: forward from %s rows, backward from %s\n",
      format_count(forward_from).c_str(), format_count(backward_from).c_str());
  write_outputs(
      record,
      {.title = "Look-up and Linear on one-hot, " + format_count(num_indices) + " indices",
       .y_label = "milliseconds",
       .has_log_x = true,
       .has_log_y = true},
      options.common);
  return std::min(last_ratio.forward_ms, last_ratio.backward_ms) > 1.5;
}

int run(const Options& options) {
  apply_common_options(options.common);
  const std::vector<std::pair<const char*, bool>> parts = {
      {"results differ", compare_results()},
      {"peak memory is not as computed", compare_costs(options)},
      {"gradient in other rows than those looked up", show_touched_rows(options)},
      {"the look-up is not 1.5 x as fast at 10,000 rows", sweep_sizes(options)}};
  bool is_good = true;
  for (const auto& [failure, is_part_good] : parts) {
    if (!is_part_good) {
      std::printf("FAIL: %s\n", failure);
      is_good = false;
    }
  }
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace rowlane::examples

int main(int argc, char** argv) {
  return rowlane::examples::run_example("one_hot", [&] {
    rowlane::examples::Options options;
    CLI::App app("Looks rows up and multiplies by one-hot matrices: results, costs, gradients.");
    add_common_options(app, options.common);
    app.add_option("--rows", options.num_rows, "of the table whose costs are compared");
    app.add_option("--dim", options.dim, "elements of its rows");
    app.add_option("--indices", options.num_indices, "how many rows are looked up in it");
    app.add_option("--one-hot-gb", options.one_hot_gb, "the most memory that one-hot may take");
    app.add_option("--swept", options.num_swept, "indices for tables of all sizes");
    app.add_option("--seconds", options.seconds_per_size, "of timing, for each size of table");
    app.add_option("--picture", options.picture_path, "draw each row's gradient")->type_name("PNG");
    CLI11_PARSE(app, argc, argv);
    return rowlane::examples::run(options);
  });
}
