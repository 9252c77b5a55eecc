#include "loss_curve.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace rowlane::examples {

void print_heading(const LossCurve& curve) {
  std::printf("\n%s, seed %" PRIu64 "\n", curve.model.c_str(), curve.seed);
  std::printf("epoch   train MSE   valid MSE   published   seconds\n");
}

void print_epoch(const LossCurve& curve, std::optional<double> published_mse) {
  const EpochResult& epoch = curve.epochs.back();
  std::printf("%5zu   %9.4f   %9.4f   ", curve.epochs.size(), epoch.train_mse, epoch.valid_mse);
  if (published_mse) {
    std::printf("%9.4f", *published_mse);
  } else {
    std::printf("%9s", "-");
  }
  std::printf("   %7.2f\n", epoch.seconds);
  std::fflush(stdout);
}

double largest_difference(const LossCurve& a, const LossCurve& b) {
  double largest = 0;
  const auto include = [&largest](double x, double y) {
    // Not-a-number is the largest.
    if (!std::isnan(largest) && !(std::abs(x - y) <= largest)) {
      largest = std::abs(x - y);
    }
  };
  for (std::size_t i = 0; i < a.epochs.size(); ++i) {
    include(a.epochs[i].train_mse, b.epochs[i].train_mse);
    include(a.epochs[i].valid_mse, b.epochs[i].valid_mse);
  }
  return largest;
}

void write_csv(const std::filesystem::path& path, const std::vector<LossCurve>& curves) {
  std::ofstream file(path);
  file.precision(9);
  file << "seed,model,epoch,train_mse,valid_mse,seconds\n";
  for (const LossCurve& curve : curves) {
    for (std::size_t i = 0; i < curve.epochs.size(); ++i) {
      const EpochResult& epoch = curve.epochs[i];
      file << curve.seed << ',' << curve.model << ',' << i + 1 << ',' << epoch.train_mse << ','
           << epoch.valid_mse << ',' << epoch.seconds << '\n';
    }
  }
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace rowlane::examples
