// A training that can be interrupted: module, optimizer, random numbers and progress in one file,
// an archive that torch reads and writes.
//
// accepted                                       | refused
// -----------------------------------------------+------------------------------------------------
// a file that is there                           | there is no checkpoint PATH
// an archive with all four parts, whose          | PATH is no checkpoint of this model: (what torch
//   parameters have the names of the module's    |   says of it)
//   and their shapes                             | PATH is a checkpoint of tables of other sizes
#pragma once

#include <torch/nn/module.h>
#include <torch/serialize/archive.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "program.h"

namespace rowlane::examples {

// The file as it was before, or complete: never a part of it. It has Python's grammar, so that no
// name in `module` may be a keyword there, such as "in".
//
// Throws std::runtime_error when it can't be written.
void write_checkpoint(const std::filesystem::path& path, const torch::nn::Module& module,
                      torch::serialize::OutputArchive& optimizer_state,
                      std::int64_t num_epochs_done);

struct LoadedCheckpoint {
  torch::serialize::InputArchive optimizer_state;
  std::int64_t num_epochs_done;
};

// Sets the parameters and buffers of `module` and the state of torch's CPU generator.
//
// Throws std::runtime_error when the file can't be read or is of a module with other parameters.
LoadedCheckpoint read_checkpoint(const std::filesystem::path& path, torch::nn::Module& module);

// Saves parameters, buffers, the state of the optimizer (its save and load are as in
// torch::optim::Optimizer) and that of torch's CPU generator, so that a training that goes on from
// it computes the same bits as one that was never interrupted.
template <typename OptimizerT>
void save_checkpoint(const std::filesystem::path& path, const torch::nn::Module& module,
                     const OptimizerT& optimizer, std::int64_t num_epochs_done) {
  torch::serialize::OutputArchive state;
  optimizer.save(state);
  write_checkpoint(path, module, state, num_epochs_done);
}

// Loads what save_checkpoint() saved, and returns the number of epochs that were done.
template <typename OptimizerT>
std::int64_t load_checkpoint(const std::filesystem::path& path, torch::nn::Module& module,
                             OptimizerT& optimizer) {
  LoadedCheckpoint loaded = read_checkpoint(path, module);
  optimizer.load(loaded.optimizer_state);
  return loaded.num_epochs_done;
}

// With --resume loads the file of --checkpoint, and returns the number of epochs that were done,
// which may be all of --epochs. Otherwise returns 0.
template <typename OptimizerT>
std::int64_t resume_training(const CommonOptions& options, torch::nn::Module& module,
                             OptimizerT& optimizer) {
  return options.resume ? load_checkpoint(options.checkpoint_path, module, optimizer) : 0;
}

// Saves to the file of --checkpoint; does nothing without that option.
template <typename OptimizerT>
void keep_training(const CommonOptions& options, const torch::nn::Module& module,
                   const OptimizerT& optimizer, std::int64_t num_epochs_done) {
  if (!options.checkpoint_path.empty()) {
    save_checkpoint(options.checkpoint_path, module, optimizer, num_epochs_done);
  }
}

// Throws std::invalid_argument that names `one` ("one of --models and one seed") when --checkpoint
// was given for several trainings, which would write the same file.
void require_one_training(const CommonOptions& options, bool is_one, const std::string& one);

}  // namespace rowlane::examples
