#include "csv.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "text_file.h"

namespace rowlane::examples {
namespace {

// `fail(what)` throws for a quote. There may be more fields than expected.
template <typename Fail>
CsvRow split_fields(std::string_view line, std::size_t num_expected, Fail&& fail) {
  CsvRow fields;
  fields.reserve(num_expected);
  fields.emplace_back();
  enum : std::uint8_t {
    kBegin,
    kPlain,
    kQuoted,
    kAfterQuotes
  } state = kBegin;  // of the last field
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (state == kQuoted) {
      // Two quotes stand for one.
      if (c == '"' && (i + 1 == line.size() || line[i + 1] != '"')) {
        state = kAfterQuotes;
      } else {
        fields.back() += c;
        i += c == '"' ? 1 : 0;
      }
    } else if (c == ',') {
      fields.emplace_back();
      state = kBegin;
    } else if (state == kBegin && c == '"') {
      state = kQuoted;
    } else if (state == kAfterQuotes || c == '"') {
      fail("within a field");
    } else {
      fields.back() += c;
      state = kPlain;
    }
  }
  if (state == kQuoted) {
    fail("that is not closed");
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

void read_csv(const std::filesystem::path& path, const CsvRow& header,
              const std::function<void(CsvRow, const std::string&)>& on_row) {
  const std::string text = read_text(path);
  std::string_view rest = text;
  const std::string_view first = take_line(rest);
  const auto fail_header = [&](const char* = "") {
    throw std::runtime_error(path.string() +
                             ": unexpected columns in its first line: " + beginning(first));
  };
  if (split_fields(first, header.size(), fail_header) != header) {
    fail_header();
  }
  for (std::int64_t num_rows = 0; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (line.empty()) {
      continue;
    }
    const std::string place = path.string() + ": row " + std::to_string(++num_rows);
    CsvRow row = split_fields(line, header.size(), [&](const char* what) {
      throw std::runtime_error(place + " has a quote " + what);
    });
    if (row.size() != header.size()) {
      throw std::runtime_error(place + " has " + std::to_string(row.size()) +
                               " fields: " + beginning(line));
    }
    on_row(std::move(row), place);
  }
}

std::vector<CsvRow> read_csv(const std::filesystem::path& path, const CsvRow& header) {
  std::vector<CsvRow> rows;
  read_csv(path, header, [&](CsvRow row, const std::string&) { rows.push_back(std::move(row)); });
  return rows;
}

double csv_number(const std::string& field, const std::string& name, const std::string& place) {
  const auto number = parse_number<double>(field);
  if (!number || !std::isfinite(static_cast<float>(*number))) {
    throw std::runtime_error(place + ": " + name + " must be a number, got \"" + beginning(field) +
                             "\"");
  }
  return *number;
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
