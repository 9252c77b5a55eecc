#include "safetensors_header.h"

#include <algorithm>
#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace rowlane::examples {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::int64_t kSizeBytes = 8;  // of the field that holds the header's size

[[noreturn]] void fail(const std::filesystem::path& path, std::int64_t offset,
                       const std::string& what) {
  throw std::runtime_error(path.string() + ": offset " + std::to_string(offset) + ": " + what);
}

// Whether elements of this size in this shape are `num_bytes`, and its strides fit into 64 bits.
bool makes_bytes(const std::vector<std::int64_t>& shape, std::int64_t element_bytes,
                 std::int64_t num_bytes) {
  std::int64_t product = element_bytes;
  bool is_empty = false;
  for (const std::int64_t size : shape) {
    is_empty = is_empty || size == 0;
    if (size < 0 || __builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product)) {
      return false;
    }
  }
  return num_bytes == (is_empty ? 0 : product);
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
  } catch (const Json::exception& error) {  // a number that doesn't fit
    fail(path, kSizeBytes, std::string("the header isn't JSON: ") + error.what());
  }
}

// A fraction or a truth value would be taken for a whole number.
std::vector<std::int64_t> whole_numbers(const Json& entry, const char* name) {
  const Json& json = entry.at(name);
  const auto is_whole = [](const Json& number) {
    return number.is_number_integer() &&
           (!number.is_number_unsigned() || number.get<std::uint64_t>() >> 63 == 0);
  };
  if (!json.is_array() || !std::ranges::all_of(json, is_whole)) {
    throw std::invalid_argument(std::string("its ") + name + " must be an array of whole numbers");
  }
  return json.get<std::vector<std::int64_t>>();
}

SafetensorsEntry parse_entry(const Json& json, const Header& header) {
  SafetensorsEntry entry{json.at("dtype").get<std::string>(), whole_numbers(json, "shape"), 0, 0};
  const std::vector<std::int64_t> ends = whole_numbers(json, "data_offsets");
  if (ends.size() != 2) {
    throw std::invalid_argument("its data_offsets must be two numbers");
  }
  const std::int64_t data_bytes = header.file_size - header.data_offset;
  if (ends[0] < 0 || ends[1] < ends[0] || ends[1] > data_bytes) {
    throw std::invalid_argument("its bytes should be " + std::to_string(ends[0]) + " to " +
                                std::to_string(ends[1]) + " of " + std::to_string(data_bytes));
  }
  entry.offset = header.data_offset + ends[0];
  entry.num_bytes = ends[1] - ends[0];
  const auto* const type =
      std::ranges::find(kSafetensorsTypes, entry.dtype, &SafetensorsType::name);
  if (type != kSafetensorsTypes.end() &&
      !makes_bytes(entry.shape, type->num_bytes, entry.num_bytes)) {
    throw std::invalid_argument("its shape and dtype don't make the " +
                                std::to_string(entry.num_bytes) + " bytes that it has");
  }
  return entry;
}

}  // namespace

std::map<std::string, SafetensorsEntry> read_safetensors_header(const std::filesystem::path& path) {
  const Header header = read_header(path);
  std::map<std::string, SafetensorsEntry> entries;
  for (const auto& [name, json] : header.json.items()) {
    if (name == "__metadata__") {
      continue;
    }
    const auto fail_entry = [&path, &name = name](const char* what) {
      fail(path, kSizeBytes, "the header's entry \"" + name + "\": " + what);
    };
    try {
      entries.emplace(name, parse_entry(json, header));
    } catch (const Json::exception& error) {
      fail_entry(error.what());
    } catch (const std::invalid_argument& error) {
      fail_entry(error.what());
    }
  }
  return entries;
}

}  // namespace rowlane::examples
