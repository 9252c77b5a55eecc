#include "tabular_data.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include "ranking.h"
#include "text_file.h"

namespace rowlane::examples {
namespace {

bool is_missing(const std::string& field) { return field.empty() || field == "?"; }

std::size_t column_of(const TabularSchema& schema, const std::string& name) {
  const auto found = std::ranges::find(schema.header, name);
  if (found == schema.header.end()) {
    throw std::runtime_error("no column \"" + name + "\" in the table");
  }
  return static_cast<std::size_t>(found - schema.header.begin());
}

std::vector<std::size_t> columns_of(const TabularSchema& schema,
                                    const std::vector<std::string>& names) {
  std::vector<std::size_t> columns;
  for (const std::string& name : names) {
    columns.push_back(column_of(schema, name));
  }
  return columns;
}

// Nothing for a missing value.
std::optional<double> number_in(const CsvRow& row, std::size_t column,
                                const TabularSchema& schema) {
  const std::string& field = row[column];
  if (is_missing(field)) {
    return std::nullopt;
  }
  const auto number = parse_number<double>(field);
  if (!number || !std::isfinite(static_cast<float>(*number))) {
    throw std::runtime_error("column \"" + schema.header[column] + "\" must have numbers, got \"" +
                             beginning(field) + "\"");
  }
  return number;
}

std::map<std::string, std::int64_t> number_categories(std::span<const CsvRow> rows,
                                                      std::size_t column, std::int64_t min_count) {
  std::map<std::string, std::int64_t> counts;
  for (const CsvRow& row : rows) {
    if (!is_missing(row[column])) {
      ++counts[row[column]];
    }
  }
  std::map<std::string, std::int64_t> numbers;
  for (const auto& [category, count] : counts) {
    if (count >= min_count) {
      numbers.emplace(category, static_cast<std::int64_t>(numbers.size()) + 1);
    }
  }
  return numbers;
}

}  // namespace

TabularTensors TabularTensors::select(const at::Tensor& positions) const {
  return {categories.index_select(0, positions), numbers.index_select(0, positions),
          targets.index_select(0, positions)};
}

TabularTensors TabularTensors::narrow(std::int64_t start, std::int64_t length) const {
  return {categories.narrow(0, start, length), numbers.narrow(0, start, length),
          targets.narrow(0, start, length)};
}

TabularEncoder::TabularEncoder(TabularSchema schema, std::span<const CsvRow> training_rows,
                               std::int64_t min_count)
    : schema_(std::move(schema)),
      categorical_columns_(columns_of(schema_, schema_.categorical)),
      continuous_columns_(columns_of(schema_, schema_.continuous)),
      target_column_(column_of(schema_, schema_.target)) {
  if (training_rows.empty()) {
    throw std::runtime_error("there are no training rows");
  }
  for (const std::size_t column : categorical_columns_) {
    numbers_of_categories_.push_back(number_categories(training_rows, column, min_count));
  }
  for (const std::size_t column : continuous_columns_) {
    double count = 0, sum = 0, sum_of_squares = 0;
    for (const CsvRow& row : training_rows) {
      if (const auto number = number_in(row, column, schema_)) {
        ++count;
        sum += *number;
        sum_of_squares += *number * *number;
      }
    }
    const double mean = count > 0 ? sum / count : 0;
    const double variance = count > 0 ? sum_of_squares / count - mean * mean : 0;
    // A column of equal numbers tells nothing, and becomes zeros.
    normalisations_.push_back({mean, variance > 0 ? std::sqrt(variance) : 1});
  }
}

TabularTensors TabularEncoder::encode(std::span<const CsvRow> rows) const {
  const auto num_rows = static_cast<std::int64_t>(rows.size());
  const auto num_categorical = static_cast<std::int64_t>(categorical_columns_.size());
  const auto num_continuous = static_cast<std::int64_t>(continuous_columns_.size());
  TabularTensors tensors{torch::zeros({num_rows, num_categorical}, at::kLong),
                         torch::zeros({num_rows, num_continuous}), torch::zeros({num_rows})};
  auto* category = tensors.categories.mutable_data_ptr<std::int64_t>();
  auto* number = tensors.numbers.mutable_data_ptr<float>();
  auto* target = tensors.targets.mutable_data_ptr<float>();
  for (const CsvRow& row : rows) {
    for (std::size_t i = 0; i < categorical_columns_.size(); ++i, ++category) {
      const auto found = numbers_of_categories_[i].find(row[categorical_columns_[i]]);
      *category = found == numbers_of_categories_[i].end() ? 0 : found->second;
    }
    for (std::size_t i = 0; i < continuous_columns_.size(); ++i, ++number) {
      if (const auto value = number_in(row, continuous_columns_[i], schema_)) {
        *number =
            static_cast<float>((*value - normalisations_[i].mean) / normalisations_[i].deviation);
      }
    }
    *target++ = row[target_column_] == schema_.positive ? 1.F : 0.F;
  }
  return tensors;
}

std::vector<std::int64_t> TabularEncoder::num_categories() const {
  std::vector<std::int64_t> counts;
  for (const auto& numbers : numbers_of_categories_) {
    counts.push_back(static_cast<std::int64_t>(numbers.size()) + 1);
  }
  return counts;
}

double accuracy(const at::Tensor& scores, const at::Tensor& targets) {
  if (report_not_a_number("scores", scores.isnan().sum().item<std::int64_t>(), scores.numel())) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return scores.gt(0).eq(targets.gt(0.5)).to(at::kDouble).mean().item<double>();
}

double roc_auc(const at::Tensor& scores, const at::Tensor& targets) {
  const at::Tensor all = scores.to(at::kCPU, at::kDouble).contiguous();
  const auto* const begin = all.const_data_ptr<double>();
  const std::vector<double> ranks = mean_ranks("scores", {begin, begin + all.numel()});
  const at::Tensor is_positive = targets.to(at::kCPU).gt(0.5).contiguous();
  double num_positives = 0, rank_sum = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (is_positive.const_data_ptr<bool>()[i]) {
      ++num_positives;
      rank_sum += ranks[i];
    }
  }
  // A positive's rank counts the negatives below it, and the positives up to itself.
  const double num_pairs = num_positives * (static_cast<double>(ranks.size()) - num_positives);
  const double wins = rank_sum - num_positives * (num_positives + 1) / 2;
  return num_pairs > 0 ? wins / num_pairs : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace rowlane::examples
