// What every example begins and ends with: its common options, its outputs, its exit status.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/harness/program.h"
#include "plot.h"
#include "record.h"

namespace rowlane::examples {

struct CommonOptions {
  std::uint64_t seed = 0;
  int num_epochs = 5;
  int num_threads = 1;
  std::filesystem::path data_dir;
  std::filesystem::path csv_path;
  std::filesystem::path plot_path;
  bool has_checkpoint = true;
  std::filesystem::path checkpoint_path;
  bool resume = false;
};

// Adds --seed, --epochs, --threads, --data-dir, --csv, --plot, --checkpoint and --resume to `app`,
// with the values in `options` as their defaults. --data-dir is left out when it has no default,
// --epochs when that is 0, --checkpoint and --resume when has_checkpoint is false.
void add_common_options(CLI::App& app, CommonOptions& options);

// Sets torch's number of threads and the seed of its generator. What is printed appears line by
// line, in a file, too.
void apply_common_options(const CommonOptions& options);

// Writes the record to the file of --csv, and a picture of it to the file of --plot; does nothing
// about an option that wasn't given. Without --csv the picture's numbers go to a file beside it.
//
// Throws std::runtime_error when one can't be written.
void write_outputs(const Record& record, const PlotOptions& plot, const CommonOptions& options);

// Throws std::runtime_error that names `what` ("MovieLens ratings"), the folder and the command
// that gets the data when one of `files` isn't in `data_dir`.
void require_data(const std::string& what, const std::filesystem::path& data_dir,
                  const std::vector<std::string>& files);

// The exit status of body(), a program with its command line; an exception is told on standard
// error, begun with the program's name.
template <typename Body>
int run_example(const char* name, Body&& body) {
  return bench::run_program(name, std::forward<Body>(body));
}

}  // namespace rowlane::examples
