// The losses of a training: printing, comparing, writing to a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rowlane::examples {

struct EpochResult {
  double train_mse;
  double valid_mse;
  double seconds;
};

struct LossCurve {
  std::string model;
  std::uint64_t seed;
  std::vector<EpochResult> epochs;
};

// Two lines above the table that print_epoch fills, on standard output.
void print_heading(const LossCurve& curve);
// One line for the last epoch of `curve`, beside the published validation MSE if there is one.
void print_epoch(const LossCurve& curve, std::optional<double> published_mse);

// The largest absolute difference between losses of the same epoch, training and validation. Both
// curves have to have the same number of epochs.
double largest_difference(const LossCurve& a, const LossCurve& b);

// Columns seed, model, epoch, train_mse, valid_mse, seconds. Throws std::runtime_error when it
// can't be written.
void write_csv(const std::filesystem::path& path, const std::vector<LossCurve>& curves);

}  // namespace rowlane::examples
