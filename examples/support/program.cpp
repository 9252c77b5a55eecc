#include "program.h"

#include <torch/utils.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace rowlane::examples {

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.option_defaults()->always_capture_default();
  app.add_option("--seed", options.seed, "seed of all that is random");
  app.add_option("--threads", options.num_threads, "CPU threads")->check(CLI::PositiveNumber);
  if (!options.data_dir.empty()) {
    app.add_option("--data-dir", options.data_dir, "folder of the data that 'make data' gets");
  }
  app.option_defaults()->always_capture_default(false);
  app.add_option("--csv", options.csv_path, "write all figures to this file")->type_name("FILE");
  app.add_option("--plot", options.plot_path, "draw them into this file")->type_name("PNG");
  if (options.num_epochs > 0) {
    app.add_option("--epochs", options.num_epochs, "passes over the training data")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  }
  if (options.has_checkpoint) {
    auto* checkpoint = app.add_option("--checkpoint", options.checkpoint_path,
                                      "save model and optimizer to this file after each epoch")
                           ->type_name("FILE");
    app.add_flag("--resume", options.resume, "go on from the file of --checkpoint")
        ->needs(checkpoint);
  }
  app.option_defaults()->always_capture_default();
}

void apply_common_options(const CommonOptions& options) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  torch::set_num_threads(options.num_threads);
  torch::manual_seed(options.seed);
}

void write_outputs(const Record& record, const PlotOptions& plot, const CommonOptions& options) {
  std::filesystem::path csv_path = options.csv_path;
  if (csv_path.empty() && !options.plot_path.empty()) {
    csv_path = std::filesystem::path(options.plot_path).replace_extension(".csv");
  }
  if (csv_path.empty()) {
    return;
  }
  record.write_csv(csv_path);
  std::printf("\nwrote %s\n", csv_path.c_str());
  if (!options.plot_path.empty()) {
    draw_plot(csv_path, options.plot_path, plot);
    std::printf("wrote %s\n", options.plot_path.c_str());
  }
}

void require_data(const std::string& what, const std::filesystem::path& data_dir,
                  const std::vector<std::string>& files) {
  const auto missing = std::find_if(files.begin(), files.end(), [&](const std::string& file) {
    return !std::filesystem::exists(data_dir / file);
  });
  if (missing != files.end()) {
    throw std::runtime_error("no " + what + " in " + data_dir.string() + " (" + *missing +
                             " is missing): get them with 'make data'");
  }
}

}  // namespace rowlane::examples
