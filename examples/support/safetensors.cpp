#include "safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace rowlane::examples {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kSizeBytes = 8;  // of the field that holds the header's size

// kSafetensorsTypes in torch's words.
constexpr std::array<at::ScalarType, kSafetensorsTypes.size()> kDtypes = {
    at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
    at::kInt,    at::kShort, at::kChar, at::kByte,     at::kBool};

std::string supported_types() {
  std::string names;
  for (const SafetensorsType& type : kSafetensorsTypes) {
    names.append(names.empty() ? "" : ", ").append(type.name);
  }
  return names;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path)
    : path_(std::move(path)), entries_(read_safetensors_header(path_)) {}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    names.push_back(name);
  }
  return names;
}

at::Tensor SafetensorsFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    std::string all;
    for (const auto& [other, entry] : entries_) {
      all.append(all.empty() ? "" : ", ").append(other);
    }
    throw std::runtime_error(path_.string() + " has no tensor \"" + name + "\"; it has " +
                             (all.empty() ? "none" : all));
  }
  const SafetensorsEntry& entry = found->second;
  const auto* const type =
      std::ranges::find(kSafetensorsTypes, entry.dtype, &SafetensorsType::name);
  if (type == kSafetensorsTypes.end()) {
    throw std::runtime_error(path_.string() + ": the tensor \"" + name +
                             "\": its dtype must be one of " + supported_types() + ", got " +
                             entry.dtype);
  }
  at::Tensor tensor = at::empty(entry.shape, kDtypes[type - kSafetensorsTypes.begin()]);
  std::ifstream file(path_, std::ios::binary);
  file.seekg(entry.offset);
  file.read(static_cast<char*>(tensor.mutable_data_ptr()), entry.num_bytes);
  if (!file) {
    throw std::runtime_error(path_.string() + ": offset " + std::to_string(entry.offset) +
                             ": cannot read the tensor \"" + name + "\"");
  }
  return tensor;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors) {
  Json header = Json::object();
  std::vector<at::Tensor> contents;
  std::int64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const at::ScalarType dtype = tensor.scalar_type();
    const auto* const found = std::ranges::find(kDtypes, dtype);
    if (found == kDtypes.end()) {
      throw std::invalid_argument("write_safetensors: the dtype of " + name + " must be one of " +
                                  supported_types() + ", got " + c10::toString(dtype));
    }
    contents.push_back(tensor.detach().to(at::kCPU).contiguous());
    const auto end = offset + static_cast<std::int64_t>(contents.back().nbytes());
    header[name] = {
        {"dtype", kSafetensorsTypes[static_cast<std::size_t>(found - kDtypes.begin())].name},
        {"shape", tensor.sizes().vec()},
        {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  // So that the tensors are aligned for whoever maps the file into memory.
  text.resize((text.size() + kSizeBytes - 1) / kSizeBytes * kSizeBytes, ' ');
  const std::uint64_t header_size = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header_size), kSizeBytes);
  file << text;
  for (const at::Tensor& tensor : contents) {
    file.write(static_cast<const char*>(tensor.const_data_ptr()),
               static_cast<std::streamsize>(tensor.nbytes()));
  }
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace rowlane::examples
