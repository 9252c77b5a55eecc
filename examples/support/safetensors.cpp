#include "safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace rowlane::examples {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::int64_t kSizeBytes = 8;  // of the field that holds the header's size

struct NamedType {
  std::string_view name;
  at::ScalarType dtype;
};
constexpr std::array kTypes = {NamedType{"F64", at::kDouble}, NamedType{"F32", at::kFloat},
                               NamedType{"F16", at::kHalf},   NamedType{"BF16", at::kBFloat16},
                               NamedType{"I64", at::kLong},   NamedType{"I32", at::kInt},
                               NamedType{"I16", at::kShort},  NamedType{"I8", at::kChar},
                               NamedType{"U8", at::kByte},    NamedType{"BOOL", at::kBool}};

[[noreturn]] void fail(const std::filesystem::path& path, std::int64_t offset,
                       const std::string& what) {
  throw std::runtime_error(path.string() + ": offset " + std::to_string(offset) + ": " + what);
}

std::string supported_types() {
  std::string names;
  for (const NamedType& type : kTypes) {
    names.append(names.empty() ? "" : ", ").append(type.name);
  }
  return names;
}

// Nothing when it doesn't fit into 64 bits.
std::optional<std::int64_t> size_in_bytes(const std::vector<std::int64_t>& shape,
                                          at::ScalarType dtype) {
  auto num_bytes = static_cast<std::int64_t>(c10::elementSize(dtype));
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(num_bytes, size, &num_bytes)) {
      return std::nullopt;
    }
  }
  return num_bytes;
}

struct Header {
  Json json;
  std::int64_t data_offset;  // of the first tensor's bytes
  std::int64_t file_size;
};

Header read_header(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || !std::filesystem::is_regular_file(path)) {
    throw std::runtime_error("cannot read " + path.string());
  }
  const auto file_size = static_cast<std::int64_t>(file.tellg());
  if (file_size < kSizeBytes) {
    fail(path, 0,
         "a safetensors file begins with 8 bytes, the file has " + std::to_string(file_size));
  }
  std::uint64_t header_size = 0;
  file.seekg(0);
  file.read(reinterpret_cast<char*>(&header_size), kSizeBytes);
  if (header_size > static_cast<std::uint64_t>(file_size - kSizeBytes)) {
    fail(path, 0,
         "the header should have " + std::to_string(header_size) + " bytes; the file has " +
             std::to_string(file_size) + ": is it a safetensors file, and complete?");
  }
  std::string text(header_size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(header_size));
  if (!file) {
    throw std::runtime_error("cannot read " + path.string());
  }
  try {
    Json json = Json::parse(text);
    if (!json.is_object()) {
      fail(path, kSizeBytes, "the header must be a JSON object");
    }
    return {std::move(json), kSizeBytes + static_cast<std::int64_t>(header_size), file_size};
  } catch (const Json::parse_error& error) {
    fail(path, kSizeBytes + static_cast<std::int64_t>(error.byte),
         std::string("the header isn't JSON: ") + error.what());
  }
}

at::ScalarType parse_dtype(const Json& json) {
  const auto name = json.get<std::string>();
  const auto* const type = std::ranges::find(kTypes, name, &NamedType::name);
  if (type == kTypes.end()) {
    throw std::invalid_argument("its dtype must be one of " + supported_types() + ", got " + name);
  }
  return type->dtype;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)) {
  const Header header = read_header(path_);
  const std::int64_t data_bytes = header.file_size - header.data_offset;
  for (const auto& [name, json] : header.json.items()) {
    if (name == "__metadata__") {
      continue;
    }
    const auto fail_entry = [&, &name = name](const std::string& what) {
      std::string text = "the header's entry \"";
      text.append(name).append("\": ").append(what);
      fail(path_, kSizeBytes, text);
    };
    try {
      Entry entry{parse_dtype(json.at("dtype")), json.at("shape"), 0, 0};
      const auto [begin, end] =
          json.at("data_offsets").get<std::pair<std::int64_t, std::int64_t>>();
      if (begin < 0 || end < begin || end > data_bytes) {
        fail_entry("its bytes should be " + std::to_string(begin) + " to " + std::to_string(end) +
                   " of " + std::to_string(data_bytes));
      }
      if (size_in_bytes(entry.shape, entry.dtype) != end - begin) {
        fail_entry("its shape and dtype don't make the " + std::to_string(end - begin) +
                   " bytes that it has");
      }
      entry.offset = header.data_offset + begin;
      entry.num_bytes = end - begin;
      entries_.emplace(name, std::move(entry));
    } catch (const Json::exception& error) {
      fail_entry(error.what());
    } catch (const std::invalid_argument& error) {
      fail_entry(error.what());
    }
  }
}

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
  const Entry& entry = found->second;
  at::Tensor tensor = at::empty(entry.shape, entry.dtype);
  std::ifstream file(path_, std::ios::binary);
  file.seekg(entry.offset);
  file.read(static_cast<char*>(tensor.mutable_data_ptr()), entry.num_bytes);
  if (!file) {
    fail(path_, entry.offset, "cannot read the tensor \"" + name + "\"");
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
    const auto* const type = std::ranges::find(kTypes, dtype, &NamedType::dtype);
    if (type == kTypes.end()) {
      throw std::invalid_argument("write_safetensors: the dtype of " + name + " must be one of " +
                                  supported_types() + ", got " + c10::toString(dtype));
    }
    contents.push_back(tensor.detach().to(at::kCPU).contiguous());
    const auto end = offset + static_cast<std::int64_t>(contents.back().nbytes());
    header[name] = {
        {"dtype", type->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
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
