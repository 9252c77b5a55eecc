// Safetensors files: tensors by name, as most published models are stored.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "safetensors_header.h"

namespace rowlane::examples {

// The tensors of a file. Opening it reads the header alone; a tensor is read when it is asked for,
// so a table can be taken out of a model that is larger than the memory.
class SafetensorsFile {
 public:
  // Throws std::runtime_error for what safetensors_header.h refuses.
  explicit SafetensorsFile(std::filesystem::path path);

  // In sorted order.
  std::vector<std::string> names() const;

  // A tensor in memory of its own, on the CPU, of the dtype and shape that it has in the file.
  //
  // Throws std::runtime_error when there is none of this name (the error lists those that there
  // are), when its dtype is none of kSafetensorsTypes, or when it can't be read. The others of the
  // file may be of any dtype.
  at::Tensor read(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, SafetensorsEntry> entries_;
};

// Writes a file that SafetensorsFile and Python's safetensors package read.
//
// Throws std::invalid_argument for a dtype that the format doesn't have, and std::runtime_error
// when the file can't be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors);

}  // namespace rowlane::examples
