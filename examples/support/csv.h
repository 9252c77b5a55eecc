// Reads and writes comma-separated files.
//
// accepted                                       | refused, after "PATH: "
// -----------------------------------------------+------------------------------------------------
// what text_file.h says; empty lines             | (text_file.h's)
// the first line is the header that is expected  | unexpected columns in its first line: …
// as many fields in each row as in the header    | row 2 has 3 fields: …
// a field in double quotes, with commas and      | row 2 has a quote that is not closed
//   doubled quotes inside, without line breaks   |
// quotes around a whole field                    | row 2 has a quote within a field
// numbers, where a column is of numbers          | row 2: rating must be a number, got "x"
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace rowlane::examples {

using CsvRow = std::vector<std::string>;

// Calls on_row(row, place) for each row below the first line of `path`, which has to be `header`;
// `place` says where it is, for errors: "PATH: row 2".
//
// Throws std::runtime_error for what the table above refuses.
void read_csv(const std::filesystem::path& path, const CsvRow& header,
              const std::function<void(CsvRow row, const std::string& place)>& on_row);

// All of them. A field takes at least 32 bytes of memory.
std::vector<CsvRow> read_csv(const std::filesystem::path& path, const CsvRow& header);

// The number in `field`, of the column `name` in the row at `place`; it fits into a float.
//
// Throws std::runtime_error when it is none.
double csv_number(const std::string& field, const std::string& name, const std::string& place);

// Writes `header` and `rows`; fields with commas or quotes are put in double quotes. Makes the
// folder if there is none.
//
// Throws std::runtime_error when the file can't be written.
void write_csv(const std::filesystem::path& path, const CsvRow& header,
               const std::vector<CsvRow>& rows);

}  // namespace rowlane::examples
