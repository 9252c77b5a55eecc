#include "csv.h"

#include <fstream>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <system_error>
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

void write_line(std::ostream& stream, const CsvRow& fields) {
  const char* separator = "";
  for (const std::string& field : fields) {
    stream << separator;
    if (field.find_first_of(",\"") == std::string::npos) {
      stream << field;
    } else {
      stream << std::quoted(field, '"', '"');
    }
    separator = ",";
  }
  stream << '\n';
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

void write_csv(const std::filesystem::path& path, const CsvRow& header,
               const std::vector<CsvRow>& rows) {
  if (path.has_parent_path()) {
    std::error_code error;  // opening the file fails, too, and says so
    std::filesystem::create_directories(path.parent_path(), error);
  }
  std::ofstream file(path);
  write_line(file, header);
  for (const CsvRow& row : rows) {
    write_line(file, row);
  }
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path.string());
  }
}

}  // namespace rowlane::examples
