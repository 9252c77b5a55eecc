// Safetensors files: tensors by name, as most published models are stored.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace rowlane::examples {

// The tensors of a file. Opening it reads the header alone; a tensor is read when it is asked for,
// so a table can be taken out of a model that is larger than the memory.
//
// The format: eight bytes with the size of the header, little-endian; the header, a JSON object
// that gives each name a dtype, a shape and the offsets where its bytes begin and end; the bytes.
class SafetensorsFile {
 public:
  // Throws std::runtime_error, naming the file and the offset in bytes, when it can't be read,
  // isn't in the format, or is shorter than its header says.
  explicit SafetensorsFile(std::filesystem::path path);

  // In sorted order.
  std::vector<std::string> names() const;

  // A tensor in memory of its own, on the CPU, of the dtype and shape that it has in the file.
  //
  // Throws std::runtime_error when there is none of this name (the error lists those that there
  // are) or it can't be read.
  at::Tensor read(const std::string& name) const;

 private:
  struct Entry {
    at::ScalarType dtype;
    std::vector<std::int64_t> shape;
    std::int64_t offset;  // from the beginning of the file
    std::int64_t num_bytes;
  };

  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
};

// Writes a file that SafetensorsFile and Python's safetensors package read.
//
// Throws std::invalid_argument for a dtype that the format doesn't have, and std::runtime_error
// when the file can't be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors);

}  // namespace rowlane::examples
