#include "training_ways.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "benchmarks/harness/memory_probe.h"
#include "benchmarks/harness/timing.h"
#include "progress.h"

namespace rowlane::examples {
namespace {

constexpr double kTolerance = 1e-6;  // relative, of a loss
// For so many steps the losses must agree. What Adam does with a gradient that is nearly zero turns
// on its last bits, so in longer trainings rounding grows, in torch as much as here.
constexpr std::size_t kNumComparedSteps = 200;

// Without the first step, which makes the states.
double median_ms(const Way& way) {
  std::vector<double> sorted(way.ms.begin() + 1, way.ms.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted[sorted.size() / 2];
}

// Relative, of the losses of the first `num_steps` steps; NaN when one of them is.
double largest_difference(const Way& way, const Way& reference, std::size_t num_steps) {
  double largest = 0;
  for (std::size_t i = 0; i < std::min(num_steps, way.losses.size()); ++i) {
    const double expected = reference.losses[i];
    const double difference = std::abs(way.losses[i] - expected) / std::abs(expected);
    if (std::isnan(difference)) {
      return difference;
    }
    largest = std::max(largest, difference);
  }
  return largest;
}

bool has_same_bits(const Way& a, const Way& b) {
  return a.losses == b.losses &&
         std::equal(a.tables.begin(), a.tables.end(), b.tables.begin(), b.tables.end(),
                    [](const at::Tensor& x, const at::Tensor& y) { return at::equal(x, y); });
}

}  // namespace

void train(std::vector<Way>& ways, std::size_t num_batches) {
  ProgressBar bar("training", static_cast<std::int64_t>(num_batches));
  for (std::size_t batch = 0; batch < num_batches; ++batch) {
    for (std::size_t turn = 0; turn < ways.size(); ++turn) {
      Way& way = ways[(batch + turn) % ways.size()];
      const auto run = [&] { way.losses.push_back(way.step(batch)); };
      if (batch == 1) {
        way.peak_bytes = bench::measure_peak_bytes(run, at::kCPU);
      } else {
        way.ms.push_back(bench::time_once_ms(run, at::kCPU));
      }
    }
    bar.update(static_cast<std::int64_t>(batch) + 1, ways.front().losses.back());
  }
}

bool report(const std::vector<Way>& ways) {
  Record table({"optimizer", "way", "other_rows", "ms_per_step", "speed_up", "peak_mb",
                "first_loss", "last_loss", "early_diff", "loss_diff"});
  table.print_header();
  bool is_good = true;
  const Way* theirs = nullptr;
  const Way* unfused = nullptr;
  for (const Way& way : ways) {
    const bool is_torch = way.name == "torch", is_fused = way.name == "fused";
    theirs = is_torch ? &way : theirs;
    unfused = is_fused ? unfused : &way;
    const double early_difference = largest_difference(way, *theirs, kNumComparedSteps);
    table.add({way.optimizer, way.name, way.other_rows, median_ms(way),
               median_ms(*theirs) / median_ms(way), static_cast<double>(way.peak_bytes) / 1e6,
               way.losses.front(), way.losses.back(), early_difference,
               largest_difference(way, *theirs, way.losses.size())});
    way.finish();
    const bool is_lazy_adam = way.optimizer == "Adam" && way.other_rows == "stay";
    const bool is_equal = is_lazy_adam || early_difference <= kTolerance;
    const bool is_same = !is_fused || has_same_bits(way, *unfused);
    const bool is_lean =
        is_torch || way.peak_bytes < (is_fused ? unfused->peak_bytes : theirs->peak_bytes / 2);
    const bool has_learned = way.losses.back() < 0.9 * way.losses.front();
    if (!is_equal || !is_same || !is_lean || !has_learned) {
      std::printf("  ^ FAILED:%s%s%s%s\n", is_equal ? "" : " losses aren't torch's;",
                  is_same ? "" : " not the bits of the unfused way;",
                  is_lean ? "" : " too much memory;", has_learned ? "" : " nothing was learned;");
      is_good = false;
    }
  }
  return is_good;
}

void write_losses(const std::vector<Way>& ways, const std::string& title,
                  const CommonOptions& options) {
  Record losses({"step", "from_step", "optimizer", "other_rows", "way", "loss"});
  for (const Way& way : ways) {
    // Losses of single batches are noisy: the picture shows means of so many.
    const auto num_averaged = static_cast<std::int64_t>(way.losses.size() / 50 + 1);
    std::int64_t step = 0;
    for (const double loss : way.losses) {
      losses.add({step, step / num_averaged * num_averaged, way.optimizer, way.other_rows, way.name,
                  loss});
      ++step;
    }
  }
  PlotOptions plot;
  plot.title = title;
  plot.x = "from_step";
  plot.y = {"loss"};
  plot.by = {"optimizer", "other_rows", "way"};
  write_outputs(losses, plot, options);
}

}  // namespace rowlane::examples
