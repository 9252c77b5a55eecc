// Reads and writes comma-separated files.
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

// Writes `header` and `rows`; fields with commas or quotes are put in double quotes. Makes the
// folder if there is none.
//
// Throws std::runtime_error when the file can't be written.
void write_csv(const std::filesystem::path& path, const CsvRow& header,
               const std::vector<CsvRow>& rows);

}  // namespace rowlane::examples
