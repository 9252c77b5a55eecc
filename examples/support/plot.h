// Pictures, drawn by scripts/report/plot_curves.py.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rowlane::examples {

struct PlotOptions {
  std::string title;
  // Columns of the CSV; without names, the first one and all other columns of numbers.
  std::string x;
  std::vector<std::string> y;
  // A line for each value of these columns together; over rows with the same x, for instance of
  // several seeds, it is the mean, on a band from the least to the most.
  std::vector<std::string> by;
  std::string y_label;
  bool has_log_x = false;
  bool has_log_y = false;
  // Dots in place of lines, with the text of this column beside each if it is given.
  bool has_points = false;
  std::string label_column;
};

// Draws the columns of `csv_path` into `png_path`.
//
// Throws std::runtime_error when the script can't be run or fails; it says itself why.
void draw_plot(const std::filesystem::path& csv_path, const std::filesystem::path& png_path,
               const PlotOptions& options);

}  // namespace rowlane::examples
