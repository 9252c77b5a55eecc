// The figures of a run: printed as a table while it goes, written as CSV at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace rowlane::examples {

// Not-a-number stands for "none": it is printed as "-" and is an empty field in the CSV.
using Cell = std::variant<std::int64_t, double, std::string>;

class Record {
 public:
  // The names of the columns, as they are in the CSV.
  explicit Record(std::vector<std::string> columns);

  // The columns' names as a line on standard output, for the rows that are added next. Columns
  // whose name is in `hidden` are not printed from here on; they are in the CSV.
  void print_header(std::vector<std::string> hidden = {});
  // Adds a row, a cell for each column, and prints it below the header, if there is one.
  void add(std::vector<Cell> row);

  const std::vector<std::vector<Cell>>& rows() const { return rows_; }

  // Throws std::runtime_error when `path` can't be written. All digits of a double are kept.
  void write_csv(const std::filesystem::path& path) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<std::size_t> printed_;  // numbers of columns
};

}  // namespace rowlane::examples
