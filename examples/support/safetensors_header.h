// What the header of a safetensors file says of its tensors.
//
// The format: eight bytes with the size of the header, little-endian; the header, a JSON object
// that gives each name a dtype, a shape and the offsets where its bytes begin and end; the bytes.
//
// accepted                                     | refused, after "PATH: offset 8: "
// ---------------------------------------------+--------------------------------------------------
// a file                                       | cannot read PATH
// of eight bytes or more                       | a safetensors file begins with 8 bytes, the file
//                                              |   has 3
// with a whole header                          | the header should have 9 bytes; the file has 10:
//                                              |   is it a safetensors file, and complete?
// that is a JSON object                        | the header isn't JSON: …
//                                              | the header must be a JSON object
// __metadata__, whatever it is; entries of a   | the header's entry "a": (what it lacks)
//   dtype, a shape and two data_offsets        | … its shape must be an array of whole numbers
//                                              | … its data_offsets must be two numbers
// within the file                              | … its bytes should be 0 to 8 of 4
// of the size that shape and dtype make, where | … its shape and dtype don't make the 4 bytes that
//   the dtype can be read                      |   it has
// a dtype that can't (F8_E4M3, U16, C64, …)    | when it is read, after "PATH: ": the tensor "a":
//                                              |   its dtype must be one of F64, …, got F8_E4M3
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rowlane::examples {

struct SafetensorsType {
  std::string_view name;
  std::int64_t num_bytes;
};
// Those that can be read.
inline constexpr std::array kSafetensorsTypes = {
    SafetensorsType{"F64", 8},  SafetensorsType{"F32", 4}, SafetensorsType{"F16", 2},
    SafetensorsType{"BF16", 2}, SafetensorsType{"I64", 8}, SafetensorsType{"I32", 4},
    SafetensorsType{"I16", 2},  SafetensorsType{"I8", 1},  SafetensorsType{"U8", 1},
    SafetensorsType{"BOOL", 1}};

struct SafetensorsEntry {
  std::string dtype;  // as the format spells it
  std::vector<std::int64_t> shape;
  std::int64_t offset;  // from the beginning of the file
  std::int64_t num_bytes;
};

// By name. Throws std::runtime_error for what the table above refuses.
std::map<std::string, SafetensorsEntry> read_safetensors_header(const std::filesystem::path& path);

}  // namespace rowlane::examples
