// rowlane-tune: where do Rowlane's algorithms cross on this device?
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "tune/tuner.h"

namespace rowlane::bench {
namespace {

void run(const std::string& model, const std::filesystem::path& file) {
  const TuneDevice device = open_device(model);
  std::cout << device.name << '\n';
  const std::string text = format_tuning(tune(device.time, std::cout), device.name);
  if (file.empty()) {
    std::cout << '\n' << text;
    return;
  }
  std::ofstream out(file);
  out << text;
  if (!out.flush()) {
    throw std::runtime_error("can't write " + file.string());
  }
  std::cout << "\nWritten to " << file.string() << ". It is used where the environment has\n"
            << "ROWLANE_TUNING=" << std::filesystem::absolute(file).string() << '\n';
}

}  // namespace
}  // namespace rowlane::bench

int main(int argc, char** argv) {
  CLI::App app(
      "Times Rowlane's backward algorithms on this device and writes from where to where each is "
      "the fastest, for the environment variable ROWLANE_TUNING.",
      ROWLANE_TUNE_PROGRAM);
  std::string model = "h100";
  std::filesystem::path file;
  app.add_option("--out", file, "the file to write; printed if not given");
  if (ROWLANE_TUNE_EMULATED) {
    app.add_option("--device", model, "the device that is modelled")->capture_default_str();
  }
  CLI11_PARSE(app, argc, argv);
  try {
    rowlane::bench::run(model, file);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << ROWLANE_TUNE_PROGRAM << ": " << error.what() << "\n";
  }
  return EXIT_FAILURE;
}
