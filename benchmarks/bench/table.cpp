#include "bench/table.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "harness/format.h"
#include "harness/implementation.h"
#include "harness/machine.h"

namespace rowlane::bench {
namespace {

constexpr std::size_t kImplWidth = 20;
constexpr std::size_t kMedianWidth = 10;
constexpr std::size_t kSpreadWidth = 7;
constexpr std::size_t kRateWidth = 7;
constexpr std::size_t kSpeedUpWidth = 9;
constexpr std::size_t kOpWidth = kMedianWidth + kSpreadWidth + kRateWidth + kSpeedUpWidth;
constexpr std::size_t kErrorWidth = 10;
constexpr std::size_t kBytesWidth = 11;

constexpr const char* kBold = "1";
constexpr const char* kDim = "2";
constexpr const char* kGreen = "32";
constexpr const char* kRed = "31";
// Nearer to 1 than this is a tie.
constexpr double kTie = 0.05;

std::string spread(const Timing& timing) {
  if (timing.num_samples < 2) {
    return "once";
  }
  const double half = (timing.p80_ms - timing.p20_ms) / 2 / timing.median_ms;
  return "±" + std::to_string(std::lround(100 * half)) + "%";
}

struct Mean {
  double sum_of_logs = 0.0;
  double worst = INFINITY;
  int count = 0;

  void add(double speed_up) {
    sum_of_logs += std::log(speed_up);
    worst = std::min(worst, speed_up);
    ++count;
  }
  [[nodiscard]] double value() const { return std::exp(sum_of_logs / count); }
};

}  // namespace

std::string TablePrinter::styled(const std::string& text, const char* style) const {
  return has_color_ ? std::string("\033[") + style + "m" + text + "\033[0m" : text;
}

std::string TablePrinter::speed_up_cell(double speed_up, std::size_t width) const {
  const std::string text = pad_left(format_ratio(speed_up), width);
  if (std::abs(speed_up - 1.0) <= kTie) {
    return text;
  }
  return styled(text, speed_up > 1.0 ? kGreen : kRed);
}

std::string TablePrinter::timing_cells(const ProblemReport& report, const Result* result) const {
  if (result == nullptr) {
    return std::string(kOpWidth, ' ');
  }
  const double rate = report.gb_per_s(*result);
  std::string cells = pad_left(format_ms(result->timing.median_ms), kMedianWidth) +
                      pad_left(spread(result->timing), kSpreadWidth) +
                      pad_left(format_rate(rate), kRateWidth);
  const std::optional<double> speed_up = report.speed_up(*result);
  return cells +
         (speed_up ? speed_up_cell(*speed_up, kSpeedUpWidth) : std::string(kSpeedUpWidth, ' '));
}

void TablePrinter::print_header(const Settings& settings) const {
  const auto cuda = cuda_version();
  out_
      << styled("Rowlane benchmark", kBold) << "  " << device_name(settings.device) << ", "
      << (settings.device.is_cpu() ? std::to_string(at::get_num_threads()) + " threads, " : "")
      << "torch " << torch_version() << (cuda ? " (CUDA " + *cuda + ")" : "") << ", commit "
      << commit() << "\n\n"
      << "Every implementation is first checked against sums in double, then all are timed in one\n"
         "interleaved run, "
      << (settings.is_cold ? "with the last-level cache overwritten before each call"
                           : "with warm caches")
      << (settings.keeps_memory ? " and a malloc that keeps freed memory" : "")
      << ".\n"
         "  median    of one call; ± is half the distance from the 20th to the 80th percentile\n"
         "  GB/s      bytes of rows read, rows written and indices, over the median\n"
         "  speed-up  nn.Embedding's median over this one\n"
         "  error     largest absolute error of the gradient; outputs are exact unless shown\n";
}

void TablePrinter::print_workload(const Workload& workload) const {
  const std::string columns = pad_left("median", kMedianWidth) + pad_left("±", kSpreadWidth) +
                              pad_left("GB/s", kRateWidth) + pad_left("speed-up", kSpeedUpWidth);
  out_ << "\n" << styled(workload.name, kBold) << "  " << workload.description << "\n";
  out_ << std::string(2 + kImplWidth, ' ') << pad_right("     forward", kOpWidth)
       << (workload.forward_only ? "" : "     backward, dense gradient") << "\n";
  out_ << std::string(2 + kImplWidth, ' ') << columns
       << (workload.forward_only ? "" : columns + pad_left("error", kErrorWidth)) << "\n";
}

void TablePrinter::print_problem(const ProblemReport& report) const {
  out_ << "  " << styled(format_problem(report.problem), kBold) << "\n";
  for (const ImplementationId& id : report.implementations) {
    const Result* const forward = report.find(Op::kForward, id);
    const Result* const backward = report.find(Op::kBackwardDense, id);
    out_ << "  " << pad_right(display_name(id.impl, id.algorithm), kImplWidth)
         << timing_cells(report, forward);
    if (backward != nullptr) {
      out_ << timing_cells(report, backward)
           << pad_left(format_error(backward->max_abs_error), kErrorWidth);
    }
    if (forward != nullptr && forward->max_abs_error > 0.0) {
      out_ << "  (output " << format_error(forward->max_abs_error) << ")";
    }
    out_ << "\n";
  }
  for (const Skip& skip : report.skips) {
    out_ << styled("  " + pad_right(display_name(skip.impl, "default"), kImplWidth) +
                       "    skipped: " + skip.reason,
                   kDim)
         << "\n";
  }
  out_ << std::flush;
}

void TablePrinter::print_summary(const std::vector<ProblemReport>& reports) const {
  constexpr std::size_t kMeanWidth = 10;
  constexpr std::size_t kWorstWidth = 10;
  constexpr std::size_t kCountWidth = 10;
  std::vector<ImplementationId> ids;
  std::map<std::pair<ImplementationId, Op>, Mean> means;
  for (const ProblemReport& report : reports) {
    for (const ImplementationId& id : report.implementations) {
      if (id.impl != kBaseline && std::find(ids.begin(), ids.end(), id) == ids.end()) {
        ids.push_back(id);
      }
    }
    for (const Result& result : report.results) {
      if (const std::optional<double> speed_up = report.speed_up(result)) {
        means[{result.id, result.op}].add(*speed_up);
      }
    }
  }
  out_ << "\n" << styled("Speed-up over nn.Embedding", kBold) << "  geometric mean over problems\n";
  const std::string columns = pad_left("mean", kMeanWidth) + pad_left("worst", kWorstWidth) +
                              pad_left("problems", kCountWidth);
  out_ << std::string(2 + kImplWidth, ' ')
       << pad_right("   forward", kMeanWidth + kWorstWidth + kCountWidth) << "   backward\n"
       << std::string(2 + kImplWidth, ' ') << columns << columns << "\n";
  for (const ImplementationId& id : ids) {
    out_ << "  " << pad_right(display_name(id.impl, id.algorithm), kImplWidth);
    for (const Op op : {Op::kForward, Op::kBackwardDense}) {
      const auto mean = means.find({id, op});
      if (mean == means.end()) {
        out_ << std::string(kMeanWidth + kWorstWidth + kCountWidth, ' ');
      } else {
        out_ << speed_up_cell(mean->second.value(), kMeanWidth)
             << speed_up_cell(mean->second.worst, kWorstWidth)
             << pad_left(std::to_string(mean->second.count), kCountWidth);
      }
    }
    out_ << "\n";
  }
}

void TablePrinter::print_memory(const std::vector<ProblemReport>& reports) const {
  constexpr std::size_t kRatioWidth = 9;
  std::set<std::string> shown;
  for (const ProblemReport& report : reports) {
    const Result* const baseline = report.find(Op::kBackwardDense, {kBaseline, "default"});
    // The law of the indices makes no difference to memory.
    Problem shape = report.problem;
    shape.indices = {};
    if (baseline == nullptr || !baseline->peak_bytes ||
        !shown.insert(report.workload + format_problem(shape)).second) {
      continue;
    }
    const auto print_line = [&](const ImplementationId& id, std::int64_t bytes, const char* note) {
      const double ratio = static_cast<double>(bytes) / static_cast<double>(*baseline->peak_bytes);
      out_ << "  " << pad_right(display_name(id.impl, id.algorithm), kImplWidth)
           << pad_left(format_bytes(bytes), kBytesWidth)
           << pad_left(format_ratio(ratio), kRatioWidth) << note << "\n";
    };
    out_ << "\n"
         << styled("Peak memory of a forward and backward pass", kBold)
         << "  tensors beside the table, and how it compares with nn.Embedding\n  "
         << styled(report.workload + ", " + format_problem(report.problem), kBold) << "\n";
    for (const ImplementationId& id : report.implementations) {
      const Result* const result = report.find(Op::kBackwardDense, id);
      if (result != nullptr && result->peak_bytes) {
        print_line(id, *result->peak_bytes, "");
      }
    }
    for (const Skip& skip : report.skips) {
      if (skip.estimated_peak_bytes) {
        print_line({skip.impl, "default"}, *skip.estimated_peak_bytes, "  estimated");
      }
    }
  }
}

}  // namespace rowlane::bench
