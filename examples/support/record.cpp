#include "record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "csv.h"

namespace rowlane::examples {
namespace {

constexpr std::size_t kLeastWidth = 9;

std::string format_double(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// For a table: a dozen characters at most.
std::string to_short_text(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) {
    return *text;
  }
  if (const auto* number = std::get_if<std::int64_t>(&cell)) {
    return std::to_string(*number);
  }
  const double value = std::get<double>(cell);
  if (std::isnan(value)) {
    return "-";
  }
  const double size = std::abs(value);
  const bool is_plain = value == 0 || (1e-3 <= size && size < 1e5);
  return format_double(is_plain ? "%.4f" : "%.3e", value);
}

std::string to_exact_text(const Cell& cell) {
  const auto* value = std::get_if<double>(&cell);
  if (value == nullptr) {
    return to_short_text(cell);
  }
  if (std::isnan(*value)) {
    return "";
  }
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), *value).ptr;
  return {text.data(), end};
}

}  // namespace

Record::Record(std::vector<std::string> columns) : columns_(std::move(columns)) {}

void Record::print_header(std::vector<std::string> hidden) {
  printed_.clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (std::find(hidden.begin(), hidden.end(), columns_[i]) == hidden.end()) {
      printed_.push_back(i);
      const auto width = static_cast<int>(std::max(kLeastWidth, columns_[i].size()));
      std::printf("%*s  ", width, columns_[i].c_str());
    }
  }
  std::printf("\n");
}

void Record::add(std::vector<Cell> row) {
  if (row.size() != columns_.size()) {
    throw std::logic_error("a row of " + std::to_string(row.size()) + " cells for " +
                           std::to_string(columns_.size()) + " columns");
  }
  for (const std::size_t i : printed_) {
    const auto width = static_cast<int>(std::max(kLeastWidth, columns_[i].size()));
    std::printf("%*s  ", width, to_short_text(row[i]).c_str());
  }
  if (!printed_.empty()) {
    std::printf("\n");
    std::fflush(stdout);
  }
  rows_.push_back(std::move(row));
}

void Record::write_csv(const std::filesystem::path& path) const {
  std::vector<CsvRow> texts;
  for (const std::vector<Cell>& row : rows_) {
    CsvRow& fields = texts.emplace_back();
    std::transform(row.begin(), row.end(), std::back_inserter(fields), to_exact_text);
  }
  examples::write_csv(path, columns_, texts);
}

}  // namespace rowlane::examples
