#include "csv.h"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace rowlane::examples {
namespace {

CsvRow split_fields(const std::string& line) {
  CsvRow fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      // Between quotes, two of them stand for one.
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += line[++i];
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else if (line[i] != '\r') {
      fields.back() += line[i];
    }
  }
  return fields;
}

}  // namespace

std::vector<CsvRow> read_csv(const std::filesystem::path& path, const CsvRow& header) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    throw std::runtime_error("cannot read " + path.string());
  }
  if (split_fields(line) != header) {
    throw std::runtime_error(path.string() + ": unexpected columns in its first line: " + line);
  }
  std::vector<CsvRow> rows;
  while (std::getline(file, line)) {
    CsvRow row = split_fields(line);
    if (row.size() != header.size()) {
      throw std::runtime_error(path.string() + ": row " + std::to_string(rows.size() + 1) +
                               " has " + std::to_string(row.size()) + " fields: " + line);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace rowlane::examples
