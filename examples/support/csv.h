// Reads comma-separated files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rowlane::examples {

using CsvRow = std::vector<std::string>;

// The rows below the first line of `path`, which has to be `header`. Fields may be in double
// quotes, with commas and doubled quotes inside, but without line breaks.
//
// Throws std::runtime_error when the file can't be read, when its first line is another one, or
// when a row has more or fewer fields than the header.
std::vector<CsvRow> read_csv(const std::filesystem::path& path, const CsvRow& header);

}  // namespace rowlane::examples
