#include "checkpoint.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <c10/util/Exception.h>

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rowlane::examples {
namespace {

constexpr const char* kModule = "module";
constexpr const char* kOptimizer = "optimizer";
constexpr const char* kGenerator = "generator";
constexpr const char* kEpochs = "num_epochs_done";

std::map<std::string, std::vector<std::int64_t>> parameter_shapes(const torch::nn::Module& module) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& parameter : module.named_parameters()) {
    shapes[parameter.key()] = parameter.value().sizes().vec();
  }
  return shapes;
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const torch::nn::Module& module,
                      torch::serialize::OutputArchive& optimizer_state,
                      std::int64_t num_epochs_done) {
  torch::serialize::OutputArchive module_state;
  module.save(module_state);
  torch::serialize::OutputArchive archive;
  archive.write(kModule, module_state);
  archive.write(kOptimizer, optimizer_state);
  archive.write(kGenerator, at::globalContext().defaultGenerator(at::kCPU).get_state(),
                /*is_buffer=*/true);
  archive.write(kEpochs, c10::IValue(num_epochs_done));
  const std::filesystem::path part = path.string() + ".part";
  try {
    archive.save_to(part.string());
    std::filesystem::rename(part, path);
  } catch (const c10::Error& error) {
    throw std::runtime_error("cannot write " + path.string() + ": " +
                             error.what_without_backtrace());
  }
}

void require_one_training(const CommonOptions& options, bool is_one, const std::string& one) {
  if (!options.checkpoint_path.empty() && !is_one) {
    throw std::invalid_argument("--checkpoint is for " + one);
  }
}

LoadedCheckpoint read_checkpoint(const std::filesystem::path& path, torch::nn::Module& module) {
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("there is no checkpoint " + path.string());
  }
  const auto expected_shapes = parameter_shapes(module);
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    torch::serialize::InputArchive module_state;
    archive.read(kModule, module_state);
    module.load(module_state);
    // Loading takes tensors of any shape.
    if (parameter_shapes(module) != expected_shapes) {
      throw std::runtime_error(path.string() + " is a checkpoint of tables of other sizes");
    }
    LoadedCheckpoint loaded;
    archive.read(kOptimizer, loaded.optimizer_state);
    at::Tensor generator_state;
    archive.read(kGenerator, generator_state, /*is_buffer=*/true);
    at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
    generator.set_state(generator_state);
    c10::IValue num_epochs_done;
    archive.read(kEpochs, num_epochs_done);
    loaded.num_epochs_done = num_epochs_done.toInt();
    return loaded;
  } catch (const c10::Error& error) {
    throw std::runtime_error(path.string() +
                             " is no checkpoint of this model: " + error.what_without_backtrace());
  }
}

}  // namespace rowlane::examples
