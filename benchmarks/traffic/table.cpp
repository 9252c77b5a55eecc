#include "traffic/table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>

#include "cuda/simt/emulated/options.h"
#include "harness/format.h"
#include "harness/machine.h"

namespace rowlane::bench {
namespace {

constexpr std::size_t kNameWidth = 18;
constexpr std::size_t kLaunchesWidth = 9;
constexpr std::size_t kBytesWidth = 10;
constexpr std::size_t kFloorWidth = 9;
constexpr std::size_t kSectorWidth = 8;
constexpr std::size_t kChainWidth = 9;
constexpr std::size_t kTimeWidth = 11;
constexpr std::size_t kGap = 3;

constexpr std::size_t kOwnWidth =
    kLaunchesWidth + 2 * kBytesWidth + kFloorWidth + kSectorWidth + kChainWidth + kTimeWidth;

std::string print(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string format_us(double us) { return format_ms(us / 1e3); }

std::string name_of(const TrafficRow& row) {
  if (row.op == "forward") {
    return row.op;
  }
  if (row.algorithm == "fused") {
    return row.op == "step_sgd" ? "fused SGD" : "fused Adam";
  }
  return row.op == "backward_rows" ? "row gradient" : "backward " + row.algorithm;
}

std::string format_traffic(const std::string& name, const Traffic& traffic) {
  return "  " + pad_right(name, kNameWidth) +
         pad_left(std::to_string(traffic.launches), kLaunchesWidth) +
         pad_left(format_bytes(traffic.dram_read_bytes), kBytesWidth) +
         pad_left(format_bytes(traffic.dram_write_bytes), kBytesWidth) +
         pad_left(print("%.3f", traffic.times_floor()), kFloorWidth) +
         pad_left(traffic.sector_use ? print("%.1f%%", 100 * *traffic.sector_use) : "-",
                  kSectorWidth) +
         pad_left(
             traffic.longest_atomic_chain == 0 ? "-" : format_count(traffic.longest_atomic_chain),
             kChainWidth) +
         pad_left(format_us(traffic.modelled_us), kTimeWidth);
}

// What Rowlane chooses for the dense gradient, and the fastest that it has, atomics included;
// nothing where the workload has no backward.
struct OwnBackward {
  const TrafficRow* chosen = nullptr;
  double fastest_us = std::numeric_limits<double>::infinity();
};

OwnBackward find_own_backward(const TrafficReport& report) {
  OwnBackward own;
  for (const TrafficRow& row : report.rows) {
    if (row.op == "backward_dense") {
      own.chosen = row.is_auto ? &row : own.chosen;
      own.fastest_us = std::min(own.fastest_us, row.counted.modelled_us);
    }
  }
  return own;
}

struct Mean {
  double sum_of_logs = 0.0;
  int count = 0;

  void add(double ratio) {
    sum_of_logs += std::log(ratio);
    ++count;
  }
  [[nodiscard]] double value() const { return std::exp(sum_of_logs / count); }
};

}  // namespace

std::string TrafficTable::bold(const std::string& text) const {
  return has_color_ ? "\033[1m" + text + "\033[0m" : text;
}

void TrafficTable::print_header() const {
  const simt::emulated::DeviceModel& device = *simt::emulated::options().device;
  out_
      << bold("Rowlane traffic") << "  counted on the emulated device, modelled on the "
      << device.name << " (" << format_bytes(device.info.l2_bytes) << " of L2, cold), commit "
      << commit() << "\n\n"
      << R"(No GPU took part. Rowlane's columns are counts of its own kernels, run thread by thread;
times are modelled by a roofline. Torch's columns, and the lines of cuEmbed and Liger, are formulas
of what their algorithms do; their times are modelled by the same roofline.
  *            what Rowlane chooses
  launches     kernels, fills, and all that a radix sort launches
  read, write  bytes between DRAM and the L2
  of floor     both over the fewest possible: of a gather, the same look-ups by an ideal kernel
               through the same L2; of a gradient, every gradient row and index read and the
               table, or the rows that have an index, written once; of a fused step, the same read
               and those rows, with what Adam keeps, read and written; plus the sort where there is one
  sectors      bytes that threads asked for, of the 32-byte sectors that they touched
  chain        the most atomic additions to one address
)";
}

void TrafficTable::print_workload(const Workload& workload) const {
  out_ << "\n" << bold(workload.name) << "  " << workload.description << "\n";
  out_ << std::string(2 + kNameWidth, ' ') << pad_right("     counted", kOwnWidth - kTimeWidth)
       << pad_left("modelled", kTimeWidth) << std::string(kGap, ' ') << "  torch, by formula\n";
  out_ << std::string(2 + kNameWidth, ' ') << pad_left("launches", kLaunchesWidth)
       << pad_left("read", kBytesWidth) << pad_left("write", kBytesWidth)
       << pad_left("of floor", kFloorWidth) << pad_left("sectors", kSectorWidth)
       << pad_left("chain", kChainWidth) << pad_left("time", kTimeWidth) << std::string(kGap, ' ')
       << pad_left("launches", kLaunchesWidth) << pad_left("bytes", kBytesWidth)
       << pad_left("of floor", kFloorWidth) << pad_left("modelled", kTimeWidth) << "  algorithm\n";
}

void TrafficTable::print_problem(const TrafficReport& report) const {
  out_ << "  " << bold(format_problem(report.problem));
  if (report.l2_scale != 1.0) {
    out_ << ", the L2 scaled by the same factor to "
         << format_bytes(static_cast<std::int64_t>(
                static_cast<double>(simt::emulated::options().device->info.l2_bytes) *
                report.l2_scale));
  }
  out_ << "\n";
  for (const TrafficRow& row : report.rows) {
    out_ << format_traffic(name_of(row) + (row.is_auto ? " *" : ""), row.counted);
    if (row.torch) {
      const Traffic& torch = *row.torch;
      out_ << std::string(kGap, ' ') << pad_left(std::to_string(torch.launches), kLaunchesWidth)
           << pad_left(format_bytes(torch.dram_bytes()), kBytesWidth)
           << pad_left(print("%.3f", torch.times_floor()), kFloorWidth)
           << pad_left(format_us(torch.modelled_us), kTimeWidth) << "  " << row.torch_algorithm;
    }
    out_ << "\n";
  }
  for (const PeerRow& peer : report.peers) {
    out_ << format_traffic(peer.name + ", formula", peer.traffic) << std::string(kGap, ' ') << "  "
         << peer.algorithm << "\n";
  }
  out_ << std::flush;
}

void TrafficTable::print_summary(const std::vector<TrafficReport>& reports) const {
  constexpr std::size_t kWidth = 24;
  out_ << "\n"
       << bold("Geometric means over problems") << "\n"
       << std::string(2 + kNameWidth, ' ') << pad_left("bytes of floor", kWidth)
       << pad_left("torch's, by formula", kWidth) << pad_left("modelled speed-up", kWidth)
       << pad_left("problems", 10) << "\n";
  for (const char* const name : {"forward", "backward *", "backward sorted", "backward small",
                                 "backward atomic", "row gradient", "fused SGD", "fused Adam"}) {
    Mean own;
    Mean torch;
    Mean speed_up;
    for (const TrafficReport& report : reports) {
      for (const TrafficRow& row : report.rows) {
        const bool is_chosen = row.op == "backward_dense" && row.is_auto;
        if (name_of(row) != name && !(is_chosen && name == std::string("backward *"))) {
          continue;
        }
        own.add(row.counted.times_floor());
        if (row.torch) {
          torch.add(row.torch->times_floor());
          speed_up.add(row.torch->modelled_us / row.counted.modelled_us);
        }
      }
    }
    if (own.count > 0) {
      out_ << "  " << pad_right(name, kNameWidth) << pad_left(print("%.3f", own.value()), kWidth)
           << pad_left(torch.count > 0 ? print("%.3f", torch.value()) : "-", kWidth)
           << pad_left(torch.count > 0 ? format_ratio(speed_up.value()) : "-", kWidth)
           << pad_left(std::to_string(own.count), 10) << "\n";
    }
  }
  print_peers(reports);
}

void TrafficTable::print_peers(const std::vector<TrafficReport>& reports) const {
  struct Comparison {
    Mean of_chosen;
    Mean of_fastest;
    std::vector<std::string> ahead;
  };
  std::map<std::string, Comparison> comparisons;
  for (const TrafficReport& report : reports) {
    const OwnBackward own = find_own_backward(report);
    if (own.chosen == nullptr) {
      continue;
    }
    const double chosen_us = own.chosen->counted.modelled_us;
    const auto compare = [&](const std::string& peer, double us) {
      Comparison& comparison = comparisons[peer];
      comparison.of_chosen.add(us / chosen_us);
      comparison.of_fastest.add(us / own.fastest_us);
      if (us < chosen_us) {
        comparison.ahead.push_back(report.workload + ", " + format_problem(report.problem) + ": " +
                                   format_us(us) + ", Rowlane's choice " + format_us(chosen_us) +
                                   ", its fastest " + format_us(own.fastest_us));
      }
    };
    compare("torch", own.chosen->torch->modelled_us);
    for (const PeerRow& peer : report.peers) {
      compare(peer.name, peer.traffic.modelled_us);
    }
  }
  out_ << "\n"
       << bold("Modelled time of a peer's dense backward, over that of Rowlane's choice") << "\n";
  for (const auto& [name, comparison] : comparisons) {
    out_ << "  " << pad_right(name, kNameWidth) << "geometric mean "
         << format_ratio(comparison.of_chosen.value()) << " of " << comparison.of_chosen.count
         << " problems (over Rowlane's fastest, atomic or not, "
         << format_ratio(comparison.of_fastest.value()) << "); ahead of Rowlane's choice on "
         << comparison.ahead.size() << "\n";
    for (const std::string& problem : comparison.ahead) {
      out_ << "    " << problem << "\n";
    }
  }
}

}  // namespace rowlane::bench
